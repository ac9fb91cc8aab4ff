/* Query pictures: dropped or pasted anywhere, or chosen from a file dialog. */

/** Calls `take(file)` with a picture, or `refuse()` if the files contain none. */
export function acceptPictures({ take, refuse }) {
  const veil = document.getElementById("drop");
  const choose = document.getElementById("choose");
  const upload = document.getElementById("upload");
  let isInternal = false; // a picture of the page itself is dragged

  function offer(files) {
    const file = [...files].find(({ type, name }) => type.startsWith("image/") || /\.(heic|heif|avif)$/i.test(name));
    if (file) take(file);
    else refuse();
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
    if (isInternal || !event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    veil.hidden = false;
  });
  window.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) veil.hidden = true;
  });
  window.addEventListener("drop", (event) => {
    veil.hidden = true;
    if (isInternal || !event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    offer(event.dataTransfer.files);
  });
}
