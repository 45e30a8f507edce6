// The moment that the player shows, for whoever follows it: told many times a second.

import {useEffect, useState} from "./vendor/htm-preact.js";

const followers = new Set();

/** Tell a camera and a time; "" and null where nothing plays any more. */
export function tell(camera, at) {
  for (const follow of followers) follow(camera, at);
}

/** What `find(camera, at)` makes of the moment; who asks is drawn again when that changes. */
export function useNow(find, ...depends) {
  const [found, setFound] = useState(() => find("", null));
  useEffect(() => {
    const follow = (camera, at) => setFound(find(camera, at));
    followers.add(follow);
    return () => followers.delete(follow);
  }, depends);
  return found;
}
