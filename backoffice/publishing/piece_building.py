"""Builds one piece: states of the registry, fingerprints, a segment, and a wire file.

A piece is built while its list version is the newest claimed one, so the registry holds exactly the
states of that version.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from tempfile import TemporaryFile
from typing import BinaryIO

from backoffice.home.config import RuleConfig
from backoffice.publishing.epochs import segment_epoch
from backoffice.publishing.fingerprints import Hash, table_of
from backoffice.publishing.pieces import Due
from backoffice.publishing.public_folder import PublicFolder
from backoffice.registry.publications import Piece
from backoffice.registry.registry import Registry
from validator.lists.segment_builder import Head, write_segment
from validator.lists.wire import WireBuilt, encode

Say = Callable[[str, int, int], None]
"""Takes what is being done, how much of it is done, and of how much (0: unknown)."""


def silent(_what: str, _done: int, _total: int) -> None:
    """Report nothing."""


@dataclass(frozen=True, slots=True)
class Press:
    """What the pieces of one list version have in common."""

    registry: Registry
    folder: PublicFolder
    version: int
    now_unix_s: int
    key_id: bytes
    hashed: Hash
    say: Say = silent

    def build(self, rule: RuleConfig, one: Due, cards: int = 0) -> Generator[str, None, Piece]:
        """Make a piece, step by step.

        `cards` is how many it will have, for the progress bar. Raises CardsError, RegistryError,
        OSError.
        """
        name = f"{rule.name}-{one.from_version}-{one.to_version}.wire"
        built = yield from self.folder.put_piece(
            name, lambda out: self._print(rule, one, cards, out), self.now_unix_s
        )
        return Piece(
            one.kind, one.from_version, one.to_version, built.bytes, self.now_unix_s, built.sha256
        )

    def _print(self, rule: RuleConfig, one: Due, cards: int, out: BinaryIO) -> WireBuilt:
        def progress_of(what: str) -> Callable[[int, int], None]:
            return lambda done, total: self.say(f"{rule.name}: {what}", done, total)

        with self._segment(rule, one, cards, progress_of) as segment:
            return encode(segment, out, progress=progress_of("packing"))

    @contextmanager
    def _segment(
        self,
        rule: RuleConfig,
        one: Due,
        cards: int,
        progress_of: Callable[[str], Callable[[int, int], None]],
    ) -> Iterator[mmap]:
        """The segment, mapped from a file without a name: it is too large for memory."""
        is_snapshot = one.from_version == 0
        # Up to this version. If the piece's `to` is lower, nothing has changed in between.
        states = (
            self.registry.snapshot_batches(rule.name, self.version)
            if is_snapshot
            else self.registry.state_batches(rule.name, one.from_version, self.version)
        )
        epoch_unix_s = segment_epoch(self.now_unix_s, rule.until_unit_s)
        reading = progress_of("reading cards")
        fingerprints, until = table_of(
            states,
            self.hashed,
            epoch_unix_s,
            rule.until_unit_s,
            is_snapshot=is_snapshot,
            progress=lambda done: reading(done, cards),
        )
        head = Head(
            rule.name,
            one.from_version,
            one.to_version,
            self.key_id,
            epoch_unix_s,
            rule.until_unit_s,
        )
        with TemporaryFile(dir=self.folder.segments) as file:
            write_segment(file, head, fingerprints, until, progress=progress_of("writing"))
            del fingerprints, until
            file.flush()
            with mmap(file.fileno(), 0, access=ACCESS_READ) as mapped:
                yield mapped
