// What suggested settings may aim at; labels are not looked at.
export const AIMS = [
  { aim: "pure", title: "Pure", words: "few errors", help: "Settings that should give few wrong positives" },
  { aim: "complete", title: "Complete", words: "most of the class", help: "Settings that should find most of the anchor's class, at the cost of more wrong positives" },
];
