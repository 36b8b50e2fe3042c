// A segmentation under way: asked for, followed, stopped, and shown as it comes.
import { moved, refined } from "../shared/address.js";
import { call, follow } from "../shared/client.js";

export class SegmentJob {
  constructor(page) {
    this.page = page;
  }

  /** Ask for a segmentation; what is shown stays until it is there. */
  async segment(request, byHand = false) {
    const { page } = this;
    const { source } = page;
    if (byHand) moved("segment");
    else refined("segment");
    const mine = source.begin("Segmenting");
    page.grid.classList.add("waiting");
    this.part = null;
    try {
      const progress = (text, share, status, job) => {
        source.show(text, share);
        this.running = job;
        source.stop.hidden = false;
        source.stop.disabled &&= this.stopping === job;
        if (status.part) this.showPart(status.part, mine);
      };
      const result = await follow(page.server, { page: page.config.page, ...request }, progress, () => mine === source.turn);
      if (mine !== source.turn) return;
      if (!result) {
        source.busy.hidden = true; // cancelled: what was there stays
        page.grid.classList.remove("waiting");
        return;
      }
      // Whoever has turned a page meanwhile stays there.
      const start = page.result?.result === result.result ? page.result.start : 0;
      await page.useResult(start ? await call(page.server, "pictures", { result: result.result, start }) : result, mine);
      source.done(result);
    } catch (error) {
      if (mine !== source.turn) return;
      page.grid.classList.remove("waiting");
      // Pictures that the studio has let go of are sent, or read, again.
      if (request.of && /no longer in memory/.test(error.message)) {
        if (request.source === "files" && !request.files) {
          source.adopt({ ...request, source: "samples", of: undefined });
          await this.segment(source.request);
          source.fail(["The images in this link are no longer on the server. The sample photos are shown instead."]);
        } else source.ask({ of: undefined });
        return;
      }
      source.refuse(error);
    }
  }

  /** Let the job do no more; what it has done is shown. */
  async stop() {
    this.stopping = this.running;
    this.page.source.stop.disabled = true;
    await call(this.page.server, "stop", this.running).catch((error) => this.page.source.fail([error.message]));
  }

  /** What is done of a folder's pictures: the first page as it fills, later only their number. */
  async showPart({ result, done }, mine) {
    const { page } = this;
    const known = this.part?.result === result ? this.part : { result, shown: 0 };
    this.part = known;
    const most = page.result?.result === result ? page.result.start + page.result.per_page : Infinity;
    if (this.showing || done === 0 || known.shown >= Math.min(done, most)) {
      if (known.shown) page.pager.show({ ...page.result, total: done });
      return;
    }
    this.showing = true;
    try {
      const start = page.result?.result === result ? page.result.start : 0;
      const reply = await call(page.server, "pictures", { result, start });
      if (mine !== page.source.turn) return;
      await page.useResult(reply, mine);
      known.shown = reply.start + reply.pictures.length;
    } catch {
      return; // it has ended meanwhile, and comes as a whole
    } finally {
      this.showing = false;
    }
  }
}
