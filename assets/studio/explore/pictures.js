// The picture of all images of a batch.

export function loadPicture(url) {
  return new Promise((resolve, reject) => {
    const picture = new Image();
    picture.onload = () => resolve(picture);
    picture.onerror = () => reject(new Error("The images of this batch could not be loaded."));
    picture.src = url;
  });
}
