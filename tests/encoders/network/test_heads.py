"""The heads' own arithmetic."""

from __future__ import annotations

import pytest
import torch

from encoders.network.heads import tanh


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_tanh_errs_no_more_than_torch_s(dtype: torch.dtype) -> None:
    """In every precision, near zero and far from it, and the type stays as it was."""
    x = torch.cat([torch.linspace(-9, 9, 4001), torch.logspace(-6, 0, 2001)]).to(dtype)
    truth = torch.tanh(x.double())
    result = tanh(x)
    assert result.dtype == dtype
    error, of_torch = ((y.double() - truth).abs().max() for y in (result, torch.tanh(x)))
    assert float(error) <= 1.01 * float(of_torch) + 2e-7


def test_tanh_has_the_gradient_of_torch_s() -> None:
    """The inner step works in place, on a copy of its own."""
    x = torch.linspace(-4, 4, 101, requires_grad=True)
    (ours,) = torch.autograd.grad(tanh(x).sum(), x)
    (theirs,) = torch.autograd.grad(torch.tanh(x).sum(), x)
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)
