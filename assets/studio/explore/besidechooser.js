// Which features stand beside the first: those of a backbone of the list.
import { select } from "../shared/dom.js";

export class BesideChooser {
  constructor(config, onChange) {
    this.fields = { backbone: config.backbone, checkpoint: "" };
    const use = (backbone) => {
      this.fields = { backbone, checkpoint: "" };
      onChange(this.value());
    };
    this.backbone = select("Features", config.backbones.map((b) => [b.name, b.title]), config.backbone, use);
    this.element = this.backbone.field;
  }

  value = () => ({ ...this.fields });

  set({ backbone, checkpoint = "", run, at, output }) {
    this.fields = { backbone, checkpoint, run, at, output };
    this.backbone.input.value = backbone;
  }
}
