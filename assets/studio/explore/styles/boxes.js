// The sets as boxes around their patches; the mosaic draws those, so that nothing is filled.
export const boxes = {
  key: "boxes",
  title: "Boxes",
  help: "Boxes as in the paper's Fig. 5",
  group: "Sets",
  colours: () => null,
};
