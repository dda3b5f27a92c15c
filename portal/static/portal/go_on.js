// The answer to this browser's own request: nobody needs to be asked.

document.getElementById("go-on").requestSubmit();
