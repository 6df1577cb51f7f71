const connection = document.querySelector("#connection");
let socket;

function connect() {
  socket = new WebSocket(`${location.protocol.replace("http", "ws")}//${location.host}/live`);
  socket.onopen = () => (connection.textContent = "Connected");
  socket.onmessage = ({ data }) => show(JSON.parse(data));
  socket.onclose = () => {
    connection.textContent = "Offline, reconnecting…";
    setTimeout(connect, 1000);
  };
}

function show(votes) {
  for (const [choice, count] of Object.entries(votes)) document.querySelector(`#${choice}`).textContent = count;
}

for (const button of document.querySelectorAll("button")) {
  button.onclick = () => socket.readyState === WebSocket.OPEN && socket.send(button.value);
}
connect();
