// Pictures load when they come into view, few at a time: a browser has six connections, and videos need some.

import {html, useEffect, useRef} from "./vendor/htm-preact.js";

const AT_ONCE = 2, waiting = [];
let loading = 0;

function loadNext() {
  while (loading < AT_ONCE && waiting.length) {
    const image = waiting.shift();
    if (!image.isConnected) continue;
    loading += 1;
    image.src = image.dataset.src;
  }
}

const inView = new IntersectionObserver(seen => {
  for (const {target, isIntersecting} of seen) {
    if (!isIntersecting) continue;
    inView.unobserve(target);
    waiting.push(target);
  }
  loadNext();
}, {rootMargin: "200px"});

/** A picture beside a text that says the same; a word stands there if it cannot be had. */
export function Picture({source, text}) {
  const image = useRef();
  useEffect(() => {
    const element = image.current;
    let isOver = false;
    element.classList.remove("lost");
    const over = () => {
      if (!isOver && element.getAttribute("src")) loading -= 1;
      isOver = true;
      loadNext();
    };
    const lost = () => { element.classList.add("lost"); over(); };
    element.addEventListener("load", over);
    element.addEventListener("error", lost);
    inView.observe(element);
    return () => { inView.unobserve(element); over(); };
  }, [source]);
  return html`<img ref=${image} width="320" height="180" alt="" data-src=${source} /><span class="none small muted" aria-hidden="true">${text.noPicture}</span>`;
}
