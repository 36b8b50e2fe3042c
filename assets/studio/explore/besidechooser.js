// Which features stand beside the first: those of a backbone of the list.
import { select } from "../shared/dom.js";

export class BesideChooser {
  constructor(config, onChange) {
    this.backbone = select("Features", config.backbones.map((b) => [b.name, b.title]), config.backbone, () => onChange(this.value()));
    this.element = this.backbone.field;
  }

  value = () => ({ backbone: this.backbone.input.value, checkpoint: "" });

  set({ backbone }) {
    if (backbone) this.backbone.input.value = backbone;
  }
}
