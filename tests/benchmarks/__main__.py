"""``make bench``: every timing the README speaks of, printed beside its limit."""

from __future__ import annotations

from tests.benchmarks import (
    bench_cache,
    bench_crf,
    bench_every_anchor,
    bench_loss,
    bench_map,
    bench_segment,
    bench_studio,
    bench_sweep,
    bench_watch,
)

for benchmark in (
    bench_loss,
    bench_cache,
    bench_crf,
    bench_studio,
    bench_segment,
    bench_map,
    bench_watch,
    bench_sweep,
    bench_every_anchor,
):
    print(f"\n== {benchmark.__name__.rsplit('.', 1)[-1]}", flush=True)
    benchmark.main()
