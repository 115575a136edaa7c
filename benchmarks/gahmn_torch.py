"""The same updates as a PyTorch loop; run by gahmn_speed with an interpreter that has torch.

Usage: python gahmn_torch.py P BLOCK MODE STEPS; prints CPU and wall milliseconds per step.
Imports nothing of jaxmed, so that any interpreter with torch will do.
"""

import json
import os
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")


def main(p: int, block: str, mode: str, steps: int) -> dict:
    import torch
    from torch import nn
    from torch.nn import functional as F

    torch.set_num_threads(1)
    torch.manual_seed(0)
    n, batch, latent, noise = 800, 100, 32, 10
    t = (torch.rand(n) < 0.5).float()
    x, m, y = torch.randn(n, 2), torch.randn(n, p), torch.randn(n)
    improved = mode == "improved"

    class Trunk(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(
                nn.Linear(noise + 2, 64), nn.ReLU(), nn.Linear(64, latent), nn.ReLU()
            )

        def forward(self, z, x):
            return self.net(torch.cat([z, x], 1))

    class MediatorGenerator(nn.Module):
        def __init__(self):
            super().__init__()
            self.trunk, self.map = Trunk(), nn.Linear(latent, p)
            self.linear = nn.Parameter(torch.zeros(p))

        def forward(self, rows):
            return self.map(self.trunk(torch.randn(batch, noise), x[rows])) + t[rows, None] * (
                self.linear
            )

    class OutcomeGenerator(nn.Module):
        def __init__(self):
            super().__init__()
            self.trunk, self.map = Trunk(), nn.Linear(latent, 1)
            self.linear, self.direct = nn.Parameter(torch.zeros(p)), nn.Parameter(torch.zeros(()))

        def forward(self, rows):
            curve = self.map(self.trunk(torch.randn(batch, noise), x[rows]))[:, 0]
            return curve + t[rows] * self.direct + m[rows] @ self.linear

    class PerMediator(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(
                nn.Linear(3, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2)
            )
            self.maps = nn.ParameterList(torch.randn(68, p) * 0.04 for _ in range(3))
            self.offset = nn.Parameter(torch.zeros(p))

        def forward(self, rows, *sets):
            seen = torch.cat([t[rows, None] - 0.5, x[rows]], 1)
            h = torch.cat([self.net(seen), seen, torch.ones(batch, 1)], 1)
            level, slope, curve = (h @ w for w in self.maps)
            clipped = [4 * torch.tanh(s / 4) for s in sets]
            return [level + self.offset + u * slope + (u * u - 1) / 2 * curve for u in clipped]

    class Dense(nn.Module):
        def __init__(self, inputs, widths, outputs):
            super().__init__()
            layers: list[nn.Module] = []
            for width in widths:
                layers += [nn.Linear(inputs, width), nn.ReLU()]
                inputs = width
            self.net = nn.Sequential(*layers, nn.Linear(inputs, outputs))

        def forward(self, rows, *sets):
            rest = [t[rows, None] - 0.5, x[rows]]
            if block == "outcome":
                rest.append(m[rows])
                sets = tuple(s[:, None] for s in sets)
            return [self.net(torch.cat([s, *rest], 1)) for s in sets]

    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(
                nn.Linear(4, 64),
                nn.LeakyReLU(0.2),
                nn.Linear(64, 64),
                nn.LeakyReLU(0.2),
                nn.Linear(64, 1),
            )
            self.v = nn.Parameter(torch.zeros(p))

        def forward(self, rows, *sets):
            linear = (m[rows] @ generator.linear + t[rows] * generator.direct).detach()
            moved, found = m[rows] @ self.v, []
            for s in sets:
                r = 2 * (s - linear)
                seen = torch.cat([r[:, None], t[rows, None] - 0.5, x[rows]], 1)
                found.append(self.net(seen)[:, 0] + 4 * torch.tanh(r / 4) * moved)
            return found

    if block == "mediators":
        generator = MediatorGenerator()
        critic = PerMediator() if improved else Dense(p + 3, [256], p)
    else:
        generator = OutcomeGenerator()
        critic = Residual() if improved else Dense(p + 4, [64, 64], 1)
    rest = [q for name, q in generator.named_parameters() if name != "linear"]
    multiplier = 3.0 if improved and block == "mediators" else 1.0
    groups = [{"params": rest}, {"params": [generator.linear], "lr": 1e-3 * multiplier}]
    g = torch.optim.Adam(groups, lr=1e-3, betas=(0.5, 0.999))
    d = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.5, 0.999))
    average = [q.detach().clone() for q in generator.parameters()]
    real_of = (lambda rows: m[rows]) if block == "mediators" else (lambda rows: y[rows])

    def step(i: int) -> None:
        rows = torch.randint(0, n, (batch,))
        with torch.no_grad():
            fake = generator(rows)
        real, drawn = critic(rows, real_of(rows), fake)
        d.zero_grad()
        (F.softplus(-real).mean() + F.softplus(drawn).mean()).backward()
        d.step()
        made = generator(rows)
        (logit,) = critic(rows, made)
        loss = F.softplus(-logit).mean()
        if improved and block == "outcome":
            loss = loss + 0.5 * ((y[rows] - made) * (y[rows] - generator(rows))).mean()
        g.zero_grad()
        loss.backward()
        g.step()
        with torch.no_grad():
            w = generator.linear
            cut = 1e-3 * multiplier * 0.1 / p
            if improved:
                second = g.state[w]["exp_avg_sq"] / (1 - 0.999 ** (i + 1))
                cut = cut / (second.sqrt() + 1e-8)
            w.copy_(torch.sign(w) * torch.clamp(w.abs() - cut, min=0))
            for kept, new in zip(average, generator.parameters(), strict=True):
                kept.mul_(0.999).add_(new, alpha=0.001)

    for i in range(50):
        step(i)
    wall, cpu = time.perf_counter(), time.process_time()
    for i in range(steps):
        step(50 + i)
    return {
        "cpu_ms": 1e3 * (time.process_time() - cpu) / steps,
        "wall_ms": 1e3 * (time.perf_counter() - wall) / steps,
        "torch": torch.__version__,
    }


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))))
