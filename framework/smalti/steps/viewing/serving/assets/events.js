// Other programs may ask for a frame. A browser keeps only six connections to a server: of all pages that are open in
// it one listens, whichever holds the lock, and tells the others.

const NAME = "show" + location.pathname;

export function hear(action) {
  const channel = new BroadcastChannel(NAME);
  channel.onmessage = (event) => action(event.data);
  navigator.locks.request(NAME, () => new Promise(() => { // held until the page is closed
    new EventSource("api/events").onmessage = (event) => {
      const told = JSON.parse(event.data);
      action(told);
      channel.postMessage(told);
    };
  }));
}
