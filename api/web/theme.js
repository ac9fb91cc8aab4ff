/* Applies the saved theme before anything is drawn, to avoid a flash. Not a module, because modules are deferred. */

const theme = localStorage.getItem("crosslook-theme");
if (theme !== null) document.documentElement.dataset.theme = theme;
