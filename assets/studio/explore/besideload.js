// Features that are to stand beside the first, loaded on the server.
import { call, follow } from "../shared/client.js";

/**
 * The batch of some features for the images of the page's batch: of a network ({backbone, checkpoint,
 * run, at, output}), of one's own ({npz} or {files}), or one that the server still holds ({batch}).
 * Null where nobody waits for it any more.
 */
export function fetchBeside({ server, config, state }, fields, tell, isCurrent) {
  if (fields.batch) return call(server, "recall", fields.batch);
  const own = fields.npz || fields.files;
  const request = own ? { source: "npz", backbone: "npz", ...fields } : { ...fields, like: state.batch.batch };
  return follow(server, { ...request, page: `${config.page} beside` }, (text, share) => isCurrent() && tell(text, share), isCurrent);
}
