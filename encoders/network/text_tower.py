"""The text towers: token ids to token states. A recurrent network and a transformer behind one interface."""

from __future__ import annotations

from copy import deepcopy
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class TextTower(nn.Module):
    """The interface of a text tower: token states for the vector, and for the reranker.

    Shape:
        - ids: (B, T), int64; attended: (B, T), bool, false on padding.
        - output: twice (B, T, C) token states; the same ones twice without a split.
    """

    channels: int

    def forward(self, ids: Tensor, attended: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the token states of a batch of sentences."""
        raise NotImplementedError

    def freeze(self, layers: int) -> None:
        """Freeze the embedding and the first `layers` layers; 0 trains everything."""
        raise NotImplementedError

    def copy_match_layers(self) -> None:
        """Copy the weights of the vector's layers to the reranker's, if it has its own."""


class RecurrentTextTower(TextTower):
    """Word embeddings under a bidirectional LSTM or GRU."""

    def __init__(
        self,
        vocabulary_size: int,
        *,
        embedding_size: int,
        hidden_size: int,
        cell: Literal["lstm", "gru"],
        dropout: float,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, embedding_size, padding_idx=0)
        self.dropout = nn.Dropout(dropout)
        network = nn.LSTM if cell == "lstm" else nn.GRU
        self.network = network(embedding_size, hidden_size, batch_first=True, bidirectional=True)
        self.channels = 2 * hidden_size

    def forward(self, ids: Tensor, attended: Tensor) -> tuple[Tensor, Tensor]:
        """Run the network over the sentences in both directions."""
        lengths = attended.sum(1).cpu()
        states = self.dropout(self.embedding(ids))
        packed = pack_padded_sequence(states, lengths, batch_first=True, enforce_sorted=False)
        output, _ = self.network(packed)
        states = pad_packed_sequence(output, batch_first=True, total_length=ids.shape[1])[0]
        return states, states

    def freeze(self, layers: int) -> None:
        """Freeze the word embeddings if `layers` is above 0."""
        self.embedding.requires_grad_(requires_grad=layers == 0)


class TransformerTextTower(TextTower):
    """BERT's encoder (https://arxiv.org/abs/1810.04805), built from torch's own layers.

    With a `split` the layers from there on exist twice, as the stages of an `ImageTower` do.
    """

    def __init__(
        self,
        vocabulary_size: int,
        *,
        width: int,
        layers: int,
        heads: int,
        feed_forward: int,
        max_tokens: int,
        dropout: float,
        split: int | None = None,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, width, padding_idx=0)
        self.positions = nn.Embedding(max_tokens, width)
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, heads, feed_forward, dropout, activation="gelu", layer_norm_eps=1e-12, batch_first=True
            )
            for _ in range(layers)
        )
        self.split = split
        self.match_layers = None if split is None else deepcopy(self.layers[split:])
        self.channels = width
        self._frozen = 0

    def forward(self, ids: Tensor, attended: Tensor) -> tuple[Tensor, Tensor]:
        """Embed words and positions, then run every layer."""
        positions = torch.arange(ids.shape[1], device=ids.device)
        states = self.dropout(self.norm(self.embedding(ids) + self.positions(positions)))
        for layer in self.layers[: self.split]:
            states = layer(states, src_key_padding_mask=~attended)
        if self.match_layers is None:
            return states, states
        for_match = states
        for layer in self.layers[self.split :]:
            states = layer(states, src_key_padding_mask=~attended)
        for layer in self.match_layers:
            for_match = layer(for_match, src_key_padding_mask=~attended)
        return states, for_match

    def copy_match_layers(self) -> None:
        """Copy the weights of the vector's layers to the reranker's."""
        if self.match_layers is not None:
            self.match_layers.load_state_dict(self.layers[self.split :].state_dict())

    def freeze(self, layers: int) -> None:
        """Freeze the embeddings and the first `layers` layers if `layers` is above 0."""
        self._frozen = layers
        for module in self._frozen_modules():
            module.requires_grad_(requires_grad=False)

    def _frozen_modules(self) -> list[nn.Module]:
        if not self._frozen:
            return []
        match_layers: list[nn.Module] = []
        if self.match_layers is not None:
            match_layers = list(self.match_layers[: max(0, self._frozen - (self.split or 0))])
        return [self.embedding, self.positions, self.norm, self.dropout, *self.layers[: self._frozen], *match_layers]

    def train(self, mode: bool = True) -> TransformerTextTower:  # noqa: FBT001, FBT002  torch's own signature
        """Put the trained layers into training mode; dropout in frozen ones would only cost time."""
        super().train(mode)
        for module in self._frozen_modules():
            module.eval()
        return self
