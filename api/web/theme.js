/* Before anything is drawn: the theme that was chosen here, so that the page does not flash. No module, for those wait. */

const theme = localStorage.getItem("crosslook-theme");
if (theme !== null) document.documentElement.dataset.theme = theme;
