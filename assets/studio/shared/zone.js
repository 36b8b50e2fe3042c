// Thresholds between which nothing lies.

/** What is to be said of Φ⁰ and Ψ⁰, as numbers or texts; empty where Ψ⁰ is below Φ⁰. */
export function noZone(phi0, psi0) {
  const [phi, psi] = [phi0, psi0].map((value) => (String(value).trim() === "" ? NaN : Number(value)));
  return psi >= phi ? "Ψ⁰ is not below Φ⁰: there is no ambiguous zone, and everything below Φ is negative." : "";
}
