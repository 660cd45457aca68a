"""Compares the peers with the parity fixtures and prints the largest deviations; exits 1 when one is too large."""

import argparse
import sys

import torch

import fixtures
from tokenizer_peer import (
    Tokenizer,
    TokenizerConfig,
    alignment_loss,
    merge_schedule,
    reconstruction_losses,
    source_loss,
)


class Report:
    """Collects deviations of one fixture and remembers whether any check failed."""

    failed = False

    def __init__(self, title: str):
        print(title)

    def line(self, name: str, value: float, limit: float):
        good = value <= limit
        Report.failed |= not good
        print(f"  {'ok    ' if good else 'FAILED'} {name:<28} {value:.3e} (limit {limit:.0e})")

    def tensor(self, name: str, ours: torch.Tensor, reference: torch.Tensor):
        """Largest absolute difference over max(1, largest reference)."""
        scale = max(1.0, reference.abs().max().item())
        self.line(name, (ours - reference).abs().max().item() / scale, 1e-4)

    def equal(self, name: str, ours: torch.Tensor, reference: torch.Tensor):
        self.line(name + " (count)", float((ours != reference).sum()), 0)

    def scalar(self, name: str, ours: torch.Tensor, reference: float):
        self.line(name, abs(float(ours.detach()) - reference) / max(abs(reference), 1e-12), 1e-5)

    def gradients(self, ours: dict, reference: dict):
        worst, worst_name = 0.0, ""
        for name, gradient in reference.items():
            norm = gradient.norm().item()
            difference = (ours[name] - gradient).norm().item()
            ratio = difference / norm if norm >= 1e-6 else difference / 1e-6 * 1e-3
            if ratio >= worst:
                worst, worst_name = ratio, name
        self.line(f"{len(reference)} gradients", worst, 1e-3)
        print(f"         worst: {worst_name}")


def tokenizer_config(config: dict) -> TokenizerConfig:
    known = {k: v for k, v in config.items() if k in TokenizerConfig.__dataclass_fields__}
    return TokenizerConfig(**{**known, "isotropic": int(known.get("isotropic") or 0)})


def check_tokenizer(fixture: fixtures.Fixture, dtype: torch.dtype):
    report = Report(f"{fixture.path.name} ({dtype})")
    torch.set_default_dtype(dtype)
    config = tokenizer_config(fixture.config)
    model = Tokenizer(config).to(dtype)
    model.load_state_dict({k: v.to(dtype) for k, v in fixture.group("weights.").items()})
    image = fixture["input.image"].to(dtype).requires_grad_()
    merged = fixture.config["merge_num"]
    assert merge_schedule(merged, config.num_att_blocks) == fixture.json("merge_schedule")

    out = model(image, merged)
    student = model.encoder(fixture["input.image_aug"].to(dtype), merged)["head"]
    losses = reconstruction_losses(out, image.detach())
    sl, kl = source_loss(out), alignment_loss(student, fixture["input.teacher"].to(dtype))
    loss = losses["loss"] + sl + 0.5 * kl
    loss.backward()

    reference = fixture.json("losses")
    report.tensor("latent", out["latent"], fixture["output.latent"])
    report.equal("source", out["source"], fixture["output.source"])
    report.equal("size", out["size"], fixture["output.size"])
    report.equal("indices", out["indices"], fixture["output.indices"])
    report.tensor("full_tokens", out["full_tokens"], fixture["output.full_tokens"])
    report.tensor("reconstruction", out["reconstruction"], fixture["output.reconstruction"])
    report.tensor("source_prediction", out["source_logits"].softmax(1), fixture["output.source_prediction"])
    report.tensor("head", student, fixture["output.head"])
    for name, value in {
        "l1": losses["l1"],
        "aux": losses["entropy"],
        "pse": out["sample_entropy"],
        "cbe": out["batch_entropy"],
        "commit": losses["commitment"],
        "sl": sl,
        "kl": kl,
        "loss": loss,
    }.items():
        report.scalar(name, value, reference[name])
    gradients = {name: p.grad for name, p in model.named_parameters()} | {"input.image": image.grad}
    report.gradients(gradients, fixture.group("grads."))


def trajectory_image(index: int, batch: int, resolution: int) -> torch.Tensor:
    """Batch ``index`` of the tokenizer's training run: blocks of colour with a little noise, float64."""
    coarse = 2 * fixtures.uniform(f"batch-{index}", batch * 3 * 16).reshape(batch, 3, 4, 4) - 1
    detail = 2 * fixtures.uniform(f"batch-{index}/detail", batch * 3 * resolution**2) - 1
    image = coarse.repeat(resolution // 4, axis=2).repeat(resolution // 4, axis=3)
    return torch.from_numpy(image + 0.1 * detail.reshape(image.shape))


def check_final_weights(report: Report, fixture: fixtures.Fixture, model: torch.nn.Module, average: dict | None):
    """Every final weight within 2 x learning rate x steps, and the overall change from the start within 5 %."""
    initial, final = fixture.group("weights."), fixture.group("final.")
    ours = dict(model.named_parameters())
    limit = 2 * fixture.config["learning_rate"] * fixture.config["steps"]
    worst = max((ours[name].detach() - value).abs().max().item() for name, value in final.items())
    report.line("final weights", worst, limit)
    difference = sum((ours[name].detach() - value).double().square().sum() for name, value in final.items())
    change = sum((value - initial[name]).double().square().sum() for name, value in final.items())
    report.line("change of weights", float((difference / change).sqrt()), 0.05)
    if average is not None:
        worst = max((average[name] - value).abs().max().item() for name, value in fixture.group("ema.").items())
        report.line("averaged weights", worst, limit)


def check_tokenizer_trajectory(fixture: fixtures.Fixture, dtype: torch.dtype):
    report = Report(f"{fixture.path.name} ({dtype})")
    torch.set_default_dtype(dtype)
    settings = fixture.config
    config = tokenizer_config({**settings, "dist_head": None})
    model = Tokenizer(config).to(dtype)
    model.load_state_dict({k: v.to(dtype) for k, v in fixture.group("weights.").items()})
    optimizer = torch.optim.Adam(
        model.parameters(), lr=settings["learning_rate"], betas=settings["betas"], eps=settings["eps"]
    )
    average = {name: p.detach().clone() for name, p in model.named_parameters()}
    for step, reference in enumerate(fixture.json("losses")):
        image = trajectory_image(step, settings["batch"], settings["resolution"]).to(dtype)
        out = model(image, settings["merge_num"])
        losses = reconstruction_losses(out, image)
        optimizer.zero_grad(set_to_none=True)
        losses["loss"].backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        norm = torch.stack([g.norm() for g in gradients]).norm()
        optimizer.step()
        for name, p in model.named_parameters():
            average[name].lerp_(p.detach(), 1 - settings["ema"])
        for name in ("l1", "sample_entropy", "batch_entropy", "commitment"):
            value = losses[name] if name in losses else out[name]
            report.line(f"step {step} {name}", abs(value.item() - reference[name]), 5e-4)
        report.line(f"step {step} gradient norm", abs(norm.item() / reference["gradient_norm"] - 1), 5e-2)
        used = out["indices"].unique().numel()
        report.line(f"step {step} codes used", abs(used - reference["codes_used"]), 1)
    check_final_weights(report, fixture, model, average)


CHECKS = {"tokenizer": check_tokenizer, "trajectory_tokenizer": check_tokenizer_trajectory}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--single", action="store_true", help="compute in float32 (trajectories are chaotic there)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for kind, check in CHECKS.items():
        for fixture in fixtures.every(kind):
            check(fixture, torch.float32 if arguments.single else torch.float64)
    return 1 if Report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
