"""The arithmetic of the heads."""

from __future__ import annotations

import pytest
import torch

from encoders.network.heads import tanh


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_tanh_is_as_exact_as_torch_s(dtype: torch.dtype) -> None:
    """In every precision, near 0 and far from it, without changing the type."""
    x = torch.cat([torch.linspace(-9, 9, 4001), torch.logspace(-6, 0, 2001)]).to(dtype)
    truth = torch.tanh(x.double())
    result = tanh(x)
    assert result.dtype == dtype
    error, torch_error = ((y.double() - truth).abs().max() for y in (result, torch.tanh(x)))
    assert float(error) <= 1.01 * float(torch_error) + 2e-7


def test_tanh_has_the_gradient_of_torch_s() -> None:
    """Its in-place steps work on a copy."""
    x = torch.linspace(-4, 4, 101, requires_grad=True)
    (gradient,) = torch.autograd.grad(tanh(x).sum(), x)
    (expected,) = torch.autograd.grad(torch.tanh(x).sum(), x)
    torch.testing.assert_close(gradient, expected, atol=1e-6, rtol=1e-5)
