// The indexing panel: choose folders, start a job, follow or cancel it, and see earlier jobs.
//
// While a job runs, its progress is polled twice a second, even if the panel is closed. `host` is an empty section. It
// dispatches "leave" (back to the pictures) and "indexed" (a job has ended, so counts and pictures may have changed).

import { el } from "./dom.js";

const POLL_INTERVAL = 500; // ms
const RETRY_DELAY = 3000; // ms after a request that failed
const NAMES_LEFT_OUT = 16; // of other programs, patterns or kinds
const STATES = { queued: "Waiting", running: "Running", done: "Done", failed: "Failed", cancelled: "Cancelled" };
const PHASES = {
  scan: "Looking for pictures",
  images: "Reading and embedding pictures",
  captions: "Embedding captions",
  vectors: "Building the vector index",
  "embedding images": "Embedding pictures that the model has not embedded yet",
  "embedding captions": "Embedding captions that the model has not embedded yet",
};

export function indexing(host, { api, say }) {
  let isOpen = false;
  let folders = []; // the answer of /v1/roots
  let current = null; // the running job
  let timer = 0; // of the next poll
  let quarter = 0; // last progress announced to screen readers

  const title = el("h1", { id: "indexing-title", tabIndex: -1 }, "Indexing");
  const leave = el("button", { type: "button", className: "button" }, "Back to the pictures");
  const notice = el("div", { className: "view-notice", hidden: true });
  const choices = el("div", { className: "indexing-roots" });
  const prune = el("input", { type: "checkbox", name: "prune" });
  const start = el("button", { type: "submit", className: "button main" }, "Index now");
  const form = el(
    "form",
    { hidden: true },
    el("fieldset", {}, el("legend", {}, "Folders"), choices),
    el("label", { className: "indexing-choice" }, prune, el("span", {}, "Remove pictures whose files no longer exist")),
    start,
  );
  const phase = el("p", { id: "indexing-phase", className: "indexing-phase" });
  const bar = el("progress", { max: 1 });
  bar.setAttribute("aria-labelledby", "indexing-phase");
  const numbers = el("p", { className: "indexing-numbers" });
  const cancel = el("button", { type: "button", className: "button" }, "Cancel");
  const running = el(
    "section",
    { className: "indexing-now", hidden: true },
    el("h2", {}, "Now"),
    phase,
    bar,
    numbers,
    cancel,
  );
  const list = el("ol", { className: "indexing-jobs" });
  const past = el("section", { hidden: true }, el("h2", {}, "Earlier jobs"), list);

  host.role = "main"; // the pictures' own <main> is hidden meanwhile
  host.setAttribute("aria-labelledby", title.id);
  host.append(el("header", { className: "view-head" }, title, leave), notice, form, running, past);

  leave.addEventListener("click", () => host.dispatchEvent(new Event("leave", { bubbles: true })));
  cancel.addEventListener("click", cancelJob);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    startJob();
  });
  addEventListener("online", () => isOpen && load());

  // ---- asking the server -------------------------------------------------------------------------------------------

  async function load() {
    clearTimeout(timer);
    if (!folders.length) showNotice("Loading the folders …");
    try {
      const [roots, jobs] = await Promise.all([api.roots(), api.jobs()]);
      folders = roots;
      showFolders();
      showJobs(jobs);
    } catch (error) {
      if (current) pollLater();
      showError(error);
    }
  }

  async function startJob() {
    const chosen = [...choices.querySelectorAll("input:checked")].map((box) => box.value);
    if (!chosen.length) {
      showNotice("Choose at least one folder.");
      choices.querySelector("input").focus();
      return;
    }
    start.disabled = true;
    hideNotice();
    try {
      follow(await api.startIndexing({ roots: chosen, prune: prune.checked }));
      cancel.focus();
      say("Indexing has started.");
    } catch (error) {
      start.disabled = false;
      if (error.status === 409) {
        await load();
        showNotice("Indexing is already running. A new job can start when it has finished.");
      } else {
        showError(error);
      }
    }
  }

  async function poll() {
    clearTimeout(timer);
    if (current === null) return;
    const { id } = current;
    try {
      const job = await api.job(id);
      if (current?.id !== id) return; // another response reported its end meanwhile
      if (current.hasFailedPoll) hideNotice();
      follow(job);
    } catch (error) {
      if (current?.id !== id) return;
      if (error.status === 404) {
        current = null; // the server was restarted and no longer knows the job
        dispatchIndexed();
        load();
        return;
      }
      pollLater();
      showError(error);
    }
  }

  function pollLater() {
    clearTimeout(timer);
    current.hasFailedPoll = true;
    timer = setTimeout(poll, RETRY_DELAY);
  }

  async function cancelJob() {
    if (cancel.ariaDisabled === "true") return;
    cancel.ariaDisabled = "true"; // a disabled button would lose the focus
    const { id } = current;
    try {
      const job = await api.cancelJob(id);
      if (current?.id !== id) return;
      say("Cancelling. What is finished is kept.");
      follow(job);
    } catch (error) {
      if (current?.id !== id) return;
      cancel.ariaDisabled = "false";
      showError(error);
    }
  }

  // ---- showing -----------------------------------------------------------------------------------------------------

  /** Shows the progress of a running job and keeps polling; reports a job that has ended. */
  function follow(job) {
    clearTimeout(timer);
    if (job.state === "queued" || job.state === "running") {
      if (current?.id !== job.id) quarter = 0;
      current = job;
      showProgress(job);
      timer = setTimeout(poll, POLL_INTERVAL);
      return;
    }
    const hadFocus = running.contains(document.activeElement);
    current = null;
    showProgress(null);
    say(`Indexing: ${STATES[job.state].toLowerCase()}. ${outcome(job)}`);
    dispatchIndexed();
    load().then(() => hadFocus && (start.disabled ? title : start).focus());
  }

  function dispatchIndexed() {
    host.dispatchEvent(new Event("indexed", { bubbles: true }));
  }

  function showFolders() {
    if (!folders.length) {
      form.hidden = true;
      showNotice(
        "No folders are configured for indexing. Whoever runs this server can add some:",
        el("pre", {}, el("code", {}, "crosslook serve --root ~/Pictures")),
        "or with ",
        el("code", {}, "roots"),
        " in its settings file.",
      );
      return;
    }
    hideNotice();
    const unchecked = new Set([...choices.querySelectorAll("input:not(:checked)")].map((box) => box.value));
    choices.replaceChildren(
      ...folders.map((root) =>
        el(
          "label",
          { className: "indexing-choice" },
          el("input", { type: "checkbox", value: root.id, checked: !unchecked.has(root.id) }),
          el("span", {}, root.name),
          el("small", {}, count(root.images, "picture")),
        ),
      ),
    );
    form.hidden = false;
  }

  function showJobs(jobs) {
    const active = jobs.find((job) => job.state === "queued" || job.state === "running");
    const followed = jobs.find((job) => job.id === current?.id);
    if (followed && followed !== active)
      follow(followed); // it has ended
    else if (active) follow(active);
    else if (current)
      poll(); // it is newer than this list, or lost
    else showProgress(null);
    const ended = jobs.filter((job) => job !== active);
    past.hidden = !ended.length;
    list.replaceChildren(...ended.map(jobItem));
  }

  function showProgress(job) {
    running.hidden = !job;
    start.disabled = Boolean(job);
    if (!job) return;
    phase.textContent = job.cancelling
      ? "Stopping after the current batch …"
      : `${PHASES[job.phase] ?? job.phase ?? "Waiting to start"} in ${names(job.roots)}`;
    if (job.total) {
      bar.max = job.total;
      bar.value = job.done;
    } else {
      bar.removeAttribute("value"); // indeterminate
    }
    numbers.textContent = progressText(job);
    cancel.ariaDisabled = String(job.cancelling);
    const reached = job.total ? Math.floor((4 * job.done) / job.total) : 0;
    if (reached > quarter && reached < 4) say(`Indexing: ${25 * reached} percent. ${timeLeft(job.seconds_left)}`);
    quarter = Math.max(quarter, reached);
  }

  function jobItem(job) {
    const when = job.started ? new Date(job.started) : null;
    const head = el(
      "p",
      { className: "indexing-job" },
      el("strong", { className: `outcome ${job.state}` }, STATES[job.state]),
      when ? el("time", { dateTime: job.started }, when.toLocaleString()) : "",
      el("span", {}, names(job.roots)),
    );
    const item = el("li", {}, head, el("p", {}, outcome(job)));
    const left = job.report && leftOut(job.report.left_out);
    if (left) item.append(el("p", { className: "indexing-left-out" }, `Left out: ${left}`));
    if (job.report?.failed) item.append(failuresOf(job));
    return item;
  }

  /** The files that could not be indexed, fetched when the list is opened. */
  function failuresOf(job) {
    const body = el("div", {}, "Loading …");
    const details = el(
      "details",
      {},
      el("summary", {}, `${count(job.report.failed, "file")} could not be indexed`),
      body,
    );
    details.addEventListener("toggle", async () => {
      if (!details.open || details.dataset.shown) return;
      try {
        const { failures } = await api.job(job.id);
        details.dataset.shown = "yes";
        body.replaceChildren(failureTable(failures));
        if (failures.length < job.report.failed) body.append(`and ${job.report.failed - failures.length} more`);
      } catch (error) {
        body.textContent = error.message;
      }
    });
    return details;
  }

  function failureTable(failures) {
    const head = el("tr", {}, el("th", { scope: "col" }, "File"), el("th", { scope: "col" }, "Reason"));
    const rows = failures.map(({ root, path, reason }) =>
      el("tr", {}, el("td", {}, root ? `${names([root])}/${path}` : path), el("td", {}, reason)),
    );
    return el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows));
  }

  function names(ids) {
    const nameById = new Map(folders.map((root) => [root.id, root.name]));
    return ids.map((id) => nameById.get(id) ?? "a folder").join(", ");
  }

  /** Shows a notice above the panel, and announces its first string. */
  function showNotice(...content) {
    notice.hidden = false;
    notice.classList.remove("trouble");
    notice.replaceChildren(...content);
    say(content[0]);
  }

  function hideNotice() {
    notice.hidden = true;
    notice.replaceChildren();
  }

  function showError(error) {
    if (error.status === 403) {
      showNotice(
        "Your key can search but not index. Create one that can with ",
        el("code", {}, "crosslook keys add NAME --scope read --scope write"),
      );
    } else {
      const again = el("button", { type: "button", className: "button" }, "Try again");
      again.addEventListener("click", () => (current ? poll() : load()));
      showNotice(error.message + (error.offline && current ? " If it is, the job continues. " : " "), again);
    }
    notice.classList.add("trouble");
  }

  return {
    open() {
      if (isOpen) return;
      isOpen = true;
      host.hidden = false;
      title.focus();
      load();
    },
    close() {
      isOpen = false;
      host.hidden = true;
      if (!current) clearTimeout(timer);
    },
  };
}

// ---- texts ---------------------------------------------------------------------------------------------------------

function count(number, thing) {
  return `${number.toLocaleString()} ${thing}${number === 1 ? "" : "s"}`;
}

function progressText(job) {
  const parts = [];
  if (job.total) parts.push(`${job.done.toLocaleString()} of ${job.total.toLocaleString()}`);
  else if (job.done) parts.push(job.done.toLocaleString());
  if (job.rate) parts.push(`${job.rate < 10 ? job.rate.toFixed(1) : Math.round(job.rate)} a second`);
  if (job.seconds_left !== null && !job.cancelling) parts.push(timeLeft(job.seconds_left));
  return parts.join(" · ");
}

function timeLeft(seconds) {
  if (seconds === null) return "";
  if (seconds < 10) return "a few seconds left";
  if (seconds < 90) return `about ${Math.round(seconds / 10) * 10} seconds left`;
  if (seconds < 5400) return `about ${Math.round(seconds / 60)} minutes left`;
  return `about ${Math.round(seconds / 3600)} hours left`;
}

/** A job's outcome in one sentence; counts of zero are left out. */
function outcome(job) {
  if (job.reason) return job.reason;
  const report = job.report;
  if (!report) return "Ended before anything was indexed.";
  const parts = [
    [report.added, "new"],
    [report.updated, "changed"],
    [report.unchanged, "unchanged"],
    [report.duplicates, report.duplicates === 1 ? "copy of a known picture" : "copies of known pictures"],
    [report.missing, "missing"],
    [report.excluded, "excluded"],
    [report.removed, "removed"],
    [report.completed, "completed"],
    [report.captions_added, report.captions_added === 1 ? "new caption" : "new captions"],
    [report.failed, "failed"],
  ];
  const counts = parts.filter(([number]) => number).map(([number, what]) => `${number.toLocaleString()} ${what}`);
  return `${count(report.seen, "file")} found${counts.length ? `: ${counts.join(", ")}` : ""}. ${duration(report.seconds)}.`;
}

/** What was left out of the folders, in the words of the command line; empty if nothing was. */
function leftOut({ folders, patterns, nomedia, hidden, raw, links, kinds }) {
  const parts = [
    ["folders of other programs", folders],
    ["by pattern", patterns],
    ["by .nomedia", nomedia],
    ["hidden", hidden],
    ["RAW beside a JPEG", raw],
    ["other names of one file or folder", links],
    ["kinds that are not read", kinds],
  ];
  const phrases = parts.map(([what, number]) => [what, typeof number === "number" ? number : largest(number)]);
  return phrases
    .filter(([, number]) => number)
    .map(([what, number]) => `${what} ${number.toLocaleString()}`)
    .join(", ");
}

/** The most frequent names with their counts, in brackets; empty if there is none. */
function largest(counts) {
  const sorted = Object.entries(counts).sort(([a, many], [b, more]) => more - many || (a < b ? -1 : 1));
  const shown = sorted.slice(0, NAMES_LEFT_OUT).map(([name, number]) => `${name} ${number.toLocaleString()}`);
  if (shown.length < sorted.length) shown.push("…");
  return shown.length ? `(${shown.join(", ")})` : "";
}

function duration(seconds) {
  return seconds < 60
    ? `${seconds.toFixed(1)} seconds`
    : `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}
