"""Learn the kernel [1, -1] from an image and its edges, by gradient descent.

The loss is quadratic, so the largest eigenvalue of its Hessian says which learning rates converge: those
below 2 / eigenvalue. A bias raises that eigenvalue, and the rate that served the layer without one diverges.

Run ``python examples/learn_a_kernel.py``.
"""

import torch
from torch import nn

from convcheck import Conv2D, corr2d

STEPS = 10
RATE = 3e-2


def edge_data() -> tuple[torch.Tensor, torch.Tensor]:
    """Draw a white 6 x 8 image with a black bar, and the edges that are to be found in it."""
    image = torch.ones(6, 8)
    image[:, 2:6] = 0
    return image, corr2d(image, torch.tensor([[1.0, -1.0]]))


def descend(layer: nn.Module, image: torch.Tensor, edges: torch.Tensor, *, rate: float, steps: int) -> list[float]:
    """Take gradient steps on the sum of squared errors; return the loss before each step."""
    losses = []
    for _ in range(steps):
        loss = ((layer(image) - edges) ** 2).sum()
        layer.zero_grad()
        loss.backward()
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.sub_(rate * parameter.grad)
        losses.append(loss.item())
    return losses


def curvatures(image: torch.Tensor, *, bias: bool) -> torch.Tensor:
    """Compute the eigenvalues, ascending, of the loss's Hessian in the two weights (and the bias).

    The output is linear in them: A @ (weights, bias), with a row of A for each place of the kernel. So the
    Hessian of the sum of squares is 2 A^T A, wherever the parameters are.
    """
    columns = [image[:, :-1].flatten(), image[:, 1:].flatten()]
    if bias:
        columns.append(torch.ones_like(columns[0]))
    A = torch.stack(columns, dim=1).double()
    return torch.linalg.eigvalsh(2 * A.T @ A)


def learn_with_torch() -> tuple[torch.Tensor, list[float]]:
    """Learn with nn.Conv2d and no bias; return the kernel and the losses."""
    torch.manual_seed(0)
    image, edges = edge_data()
    layer = nn.Conv2d(1, 1, kernel_size=(1, 2), bias=False)
    # Torch wants axes for the batch and the channels too.
    losses = descend(layer, image[None, None], edges[None, None], rate=RATE, steps=STEPS)
    return layer.weight.detach().reshape(1, 2), losses


def learn_with_conv2d(*, rate: float, steps: int) -> tuple[Conv2D, list[float]]:
    """Learn with the textbook's layer, bias included; return the layer and the losses."""
    image, edges = edge_data()
    layer = Conv2D((1, 2), generator=torch.Generator().manual_seed(0))
    return layer, descend(layer, image, edges, rate=rate, steps=steps)


def show(losses: list[float], every: int) -> None:
    for step in range(every, len(losses) + 1, every):
        print(f"  step {step}, loss {losses[step - 1]:.4g}")


def main() -> None:
    image, _ = edge_data()
    steepest = curvatures(image, bias=False)[-1].item()
    print(f"nn.Conv2d without bias, rate {RATE}")
    print(f"  largest curvature {steepest:.4g}: it converges, below 2 / {steepest:.4g} = {2 / steepest:.4f}")
    kernel, losses = learn_with_torch()
    show(losses, every=2)
    print("  learned {:.4f} and {:.4f}, to be 1 and -1".format(*kernel.flatten().tolist()))

    flattest, _, steepest = curvatures(image, bias=True).tolist()
    print(f"\nConv2D with its bias, rate {RATE}")
    print(f"  largest curvature {steepest:.4g}: it diverges, above 2 / {steepest:.4g} = {2 / steepest:.4f}")
    show(learn_with_conv2d(rate=RATE, steps=STEPS)[1], every=2)

    # This rate shrinks the errors along the steepest and the flattest direction alike.
    rate = 2 / (steepest + flattest)
    print(f"\nConv2D with its bias, rate 2 / ({steepest:.4g} + {flattest:.4g}) = {rate:.4f}")
    layer, losses = learn_with_conv2d(rate=rate, steps=5 * STEPS)
    show(losses, every=STEPS)
    learned = *layer.weight.flatten().tolist(), layer.bias.item()
    print("  learned {:.4f} and {:.4f}, bias {:.4f}, to be 1 and -1, bias 0".format(*learned))


if __name__ == "__main__":
    main()
