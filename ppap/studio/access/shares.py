"""Room that many share: nobody can push out what others keep, and nobody waits behind one."""

from __future__ import annotations

import contextvars
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)  # Python 3.10 has no generic named tuples
class _Entry(Generic[T]):
    share: str
    value: T
    weight: float


class Shares(Generic[T]):
    """A bounded dictionary in which everyone has a share.

    Beyond ``each`` of one share, that share's own oldest goes. Beyond ``most`` of all together, it
    is the oldest of whoever takes up most. What was used last counts as newest. Not locked.

    Args:
        each: how many one share may keep.
        most: how much all may take up together.
        weigh: what one takes up; by default, each counts as one.
    """

    def __init__(self, each: int, most: float, weigh: Callable[[T], float] = lambda _: 1) -> None:
        self.each, self.most, self._weigh = each, most, weigh
        self._kept: OrderedDict[str, _Entry[T]] = OrderedDict()
        self._of: dict[str, OrderedDict[str, None]] = {}
        self._weights: dict[str, float] = {}

    def put(self, key: str, value: T, share: str) -> list[T]:
        """Keep something under a new key; what had to go for it."""
        weight = self._weigh(value)
        self._kept[key] = _Entry(share, value, weight)
        self._of.setdefault(share, OrderedDict())[key] = None
        self._weights[share] = self._weights.get(share, 0) + weight
        gone = []
        while len(self._of[share]) > self.each:
            gone.append(self._pop(next(iter(self._of[share]))))
        while len(self._kept) > 1 and sum(self._weights.values()) > self.most:
            gone.append(self._pop(self._next_to_go(key)))
        return gone

    def _pop(self, key: str) -> T:
        entry = self._kept.pop(key)
        del self._of[entry.share][key]
        self._weights[entry.share] -= entry.weight
        if not self._of[entry.share]:
            del self._of[entry.share], self._weights[entry.share]
        return entry.value

    def _next_to_go(self, newest: str) -> str:
        heaviest = max(self._weights.values())
        others = (key for key in self._kept if key != newest)
        # Of whoever has nothing but the newest, nothing can go.
        fallback = next(key for key in self._kept if key != newest)
        return next(
            (key for key in others if self._weights[self._kept[key].share] == heaviest), fallback
        )

    def get(self, key: object) -> T | None:
        """What is kept under ``key``, which is used by that; None where there is nothing."""
        if not isinstance(key, str) or key not in self._kept:
            return None
        self._kept.move_to_end(key)
        entry = self._kept[key]
        self._of[entry.share].move_to_end(key)
        return entry.value

    def values(self) -> Iterator[T]:
        """Everything that is kept, what was used last first."""
        return (entry.value for entry in reversed(self._kept.values()))

    def __iter__(self) -> Iterator[str]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)


class _Task(NamedTuple):
    future: Future[Any]
    context: contextvars.Context
    call: Callable[..., Any]
    arguments: tuple[Any, ...]


class Turns:
    """One thread that works for many, who take turns: a hundred requests of one delay another's
    by one. Each is done in the context that it was asked in.
    """

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._waiting: OrderedDict[str, deque[_Task]] = OrderedDict()
        self._lock = threading.Lock()

    def submit(self, share: str, call: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Do something when it is ``share``'s turn."""
        task = _Task(Future(), contextvars.copy_context(), call, arguments)
        with self._lock:
            self._waiting.setdefault(share, deque()).append(task)
            self._pool.submit(self._one)
        return task.future

    def _one(self) -> None:
        with self._lock:
            if not self._waiting:
                return
            share, tasks = self._waiting.popitem(last=False)
            task = tasks.popleft()
            if tasks:
                self._waiting[share] = tasks  # behind everybody else
        if not task.future.set_running_or_notify_cancel():
            return
        try:
            task.future.set_result(task.context.run(task.call, *task.arguments))
        except BaseException as error:
            task.future.set_exception(error)

    def shutdown(self, *, wait: bool) -> None:
        """Give up what waits; ``wait``: until what is under way has ended."""
        with self._lock:
            for task in (task for tasks in self._waiting.values() for task in tasks):
                task.future.cancel()
            self._waiting.clear()
        self._pool.shutdown(wait=wait, cancel_futures=True)
