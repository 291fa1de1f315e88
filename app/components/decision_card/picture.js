// The image of a card: large, sharp or smooth, and at a key the stored pixels in its place.

const SCALING = "stillroom/scaling";
const SMALL_PX = 128;
const HELD_MS = 350;

class PictureView {
  constructor() {
    this.root = node("figure", "picture");
    this.frame = node("div", "frame");
    this.under = node("figcaption", "under");
    this.scaling = keyButton("X", "");
    this.scaling.title = "Every pixel a square, or smooth";
    this.scaling.addEventListener("click", () => this.toggleScaling());
    this.flip = keyButton("F", "stored pixels");
    this.flip.title = "The image exactly as it is stored; hold the key, or press it once";
    this.flip.addEventListener("click", () => this.toggleFlip());
    this.words = node("span", "words");
    this.words.setAttribute("role", "status");
    this.under.append(this.scaling, this.flip, this.words);
    this.root.append(this.frame, this.under);
    this.flipped = false;
    this.chosen = readScaling();
  }

  draw(item) {
    this.item = item;
    this.redraw();
    const again = () => this.item === item && this.redraw(); // with its size, which is not known before
    if (item.picture && !item.picture.naturalWidth) item.picture.decode().then(again, () => {});
  }

  redraw() {
    const { item, flipped } = this;
    if (!item?.picture) return;
    const shown = (flipped && item.storedPicture) || item.picture;
    shown.alt = item.given === null ? "the image to label" : `sample ${item.id}`;
    if (this.frame.firstChild !== shown) this.frame.replaceChildren(shown);
    const sharp = flipped || this.isSharp();
    this.frame.classList.toggle("smooth", !sharp);
    setText(this.scaling, this.isSharp() ? "sharp" : "smooth");
    this.flip.setAttribute("aria-pressed", String(flipped));
    this.under.classList.toggle("flipped", flipped);
    const { naturalWidth, naturalHeight } = shown;
    const words = flipped ? storedWords(item) : naturalWidth ? `${naturalWidth} × ${naturalHeight} px` : "";
    if (this.words.textContent !== words) this.words.textContent = words;
    this.words.title = flipped ? words : "";
  }

  isSharp() {
    return this.chosen ? this.chosen === "sharp" : (this.item?.picture?.naturalWidth ?? 0) <= SMALL_PX;
  }

  toggleScaling() {
    this.chosen = this.isSharp() ? "smooth" : "sharp";
    remember(SCALING, this.chosen);
    this.redraw();
  }

  toggleFlip() {
    this.flipped = !this.flipped;
    this.flippedAt = performance.now();
    this.redraw();
  }

  // A key that was held shows the stored pixels only as long as it is.
  release() {
    if (this.flippedAt !== undefined && performance.now() - this.flippedAt > HELD_MS) this.toggleFlip();
    this.flippedAt = undefined;
  }
}

function storedWords(item) {
  const isOther = item.storedPicture && item.storedPicture !== item.picture;
  return isOther ? item.stored_words : `Already what you see, but sharp. ${item.stored_words}`;
}

function readScaling() {
  const kept = remembered(SCALING);
  return kept === "sharp" || kept === "smooth" ? kept : null;
}
