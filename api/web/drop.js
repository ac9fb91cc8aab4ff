/* Query pictures: dropped or pasted anywhere, or chosen from a file dialog.

   A picture dragged from another page comes as a file, or as its address only. The page fetches addresses of its own
   origin and refuses others: neither its security policy nor other sites let it read them. */

const NO_PICTURE = "That is not a picture. Drop a JPEG, PNG, WebP or HEIC file.";
const OTHER_SITE = "The browser does not hand over that picture. Save it first, then drop the file.";

/** Calls `take(file)` with a picture, or `refuse(why)`. `fetchPicture(address)` resolves to a file of this origin. */
export function acceptPictures({ take, refuse, fetchPicture }) {
  const veil = document.getElementById("drop");
  const choose = document.getElementById("choose");
  const upload = document.getElementById("upload");
  let isInternal = false; // a picture of the page itself is dragged

  function offer(files) {
    const file = [...files].find(({ type, name }) => type.startsWith("image/") || /\.(heic|heif|avif)$/i.test(name));
    if (file) take(file);
    else refuse(NO_PICTURE);
  }

  async function offerDragged(data) {
    const address = imageAddress(data);
    if (data.files.length || address === null) offer(data.files);
    else if (address.origin !== location.origin || address.protocol === "blob:") refuse(OTHER_SITE);
    else {
      const file = await fetchPicture(address.href).catch(() => null);
      offer(file === null ? [] : [file]);
    }
  }

  choose.addEventListener("click", () => upload.click());
  upload.addEventListener("change", () => {
    if (upload.files.length) offer(upload.files);
    upload.value = "";
  });

  window.addEventListener("paste", (event) => {
    if (event.clipboardData?.files.length) {
      event.preventDefault();
      offer(event.clipboardData.files);
    }
  });

  window.addEventListener("dragstart", () => {
    isInternal = true;
  });
  for (const end of ["dragend", "pointerdown", "pointermove"]) // a tile removed meanwhile sends no dragend
    window.addEventListener(end, () => {
      isInternal = false;
    });
  window.addEventListener("dragover", (event) => {
    if (isForField(event)) return;
    event.preventDefault(); // or the browser leaves the page for what is dropped
    event.dataTransfer.dropEffect = isInternal ? "none" : "copy";
    veil.hidden = isInternal;
  });
  window.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) veil.hidden = true;
  });
  window.addEventListener("drop", (event) => {
    veil.hidden = true;
    if (isForField(event)) return;
    event.preventDefault();
    if (!isInternal) offerDragged(event.dataTransfer);
  });
}

/** Whether text is dragged to a field, which takes it by itself. */
function isForField({ target, dataTransfer: { types } }) {
  const isText = !types.includes("Files") && !types.includes("text/uri-list");
  return isText && target instanceof Element && target.closest("input, textarea") !== null;
}

/** The URL of a dragged image or link; null if there is none. */
function imageAddress(data) {
  const fragment = new DOMParser().parseFromString(data.getData("text/html"), "text/html"); // loads and runs nothing
  const image = fragment.querySelector("img")?.getAttribute("src");
  const link = data
    .getData("text/uri-list")
    .split(/\r?\n/)
    .find((line) => line && !line.startsWith("#"));
  const address = [image, link, data.getData("text/plain")].find((text) => URL.canParse(text ?? ""));
  return address === undefined ? null : new URL(address);
}
