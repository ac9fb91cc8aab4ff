/* Pictures that come from outside: dropped anywhere, pasted anywhere, or chosen. */

/** `take(file)` is called with each; `refuse()` where something came that is no picture. */
export function acceptPictures({ take, refuse }) {
  const veil = document.getElementById("drop");
  const choose = document.getElementById("choose");
  const upload = document.getElementById("upload");
  let isOurs = false; // a picture of the page itself is dragged

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
    isOurs = true;
  });
  for (const end of ["dragend", "pointerdown", "pointermove"]) // a tile that left the document meanwhile sends no dragend
    window.addEventListener(end, () => {
      isOurs = false;
    });
  window.addEventListener("dragover", (event) => {
    if (isOurs || !event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    veil.hidden = false;
  });
  window.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) veil.hidden = true;
  });
  window.addEventListener("drop", (event) => {
    veil.hidden = true;
    if (isOurs || !event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    offer(event.dataTransfer.files);
  });
}
