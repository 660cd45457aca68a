"""Compares the peers with the parity fixtures and prints the largest deviations; exits 1 when one is too large."""

import argparse
import sys

import torch

import fixtures
from generator_peer import (
    Generator,
    GeneratorConfig,
    decay_groups,
    factorized_loss,
    greedy,
    kept_by_top_k,
    kept_by_top_p,
    merged_mask,
)
from stage_one_peer import Discriminator, LeCAM, PerceptualLoss, StageOne, generator_loss, hinge_loss
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


def load_generator(fixture: fixtures.Fixture, dtype: torch.dtype, **changes) -> Generator:
    torch.set_default_dtype(dtype)
    known = {k: v for k, v in fixture.config.items() if k in GeneratorConfig.__dataclass_fields__}
    model = Generator(GeneratorConfig(**known, **changes)).to(dtype)
    model.load_state_dict({k: v.to(dtype) for k, v in fixture.group("weights.").items()})
    return model


def check_logits_and_gradients(report: Report, fixture: fixtures.Fixture, model: Generator, logits: tuple, pre, post):
    losses = factorized_loss(logits, pre, post)
    sum(losses).backward()
    reference = fixture.json("losses")
    report.tensor("logits pre", logits[0], fixture["output.logits_pre"])
    report.tensor("logits post", logits[1], fixture["output.logits_post"])
    report.scalar("loss pre", losses[0], reference["pre"])
    report.scalar("loss post", losses[1], reference["post"])
    report.gradients({name: p.grad for name, p in model.named_parameters()}, fixture.group("grads."))


def check_generator(fixture: fixtures.Fixture, dtype: torch.dtype):
    report = Report(f"{fixture.path.name} ({dtype})")
    model = load_generator(fixture, dtype)
    pre, post = fixture["input.pre"].long(), fixture["input.post"].long()
    labels = fixture["input.class"].long()
    report.tensor("rotary table", model.rotary, fixture["output.freqs_cis"])
    check_logits_and_gradients(report, fixture, model, model(pre, post, labels), pre, post)
    drawn = model.sample(labels, (1.0, 1.0), greedy)
    report.equal("greedy pre", drawn[0], fixture["output.greedy_pre"])
    report.equal("greedy post", drawn[1], fixture["output.greedy_post"])
    logits = fixture["input.filter_logits"]
    report.equal("top-k 5", kept_by_top_k(logits, 5), fixture["output.filter_topk5"])
    report.equal("top-p 0.8", kept_by_top_p(logits, 0.8), fixture["output.filter_topp80"])


def check_merged_generator(fixture: fixtures.Fixture, dtype: torch.dtype):
    report = Report(f"{fixture.path.name} ({dtype})")
    model = load_generator(fixture, dtype)
    pre, post = fixture["input.pre"].long(), fixture["input.post"].long()
    labels, keep = fixture["input.class"].long(), fixture["input.keep_index"].long()
    representative, window = fixture["input.representative"].long(), fixture.config["window"]
    report.equal("mask", merged_mask(representative, window), fixture["output.mask"])
    logits = model.forward_merged(pre, post, labels, keep, representative, window)
    check_logits_and_gradients(report, fixture, model, logits, pre, post)
    for other in fixture.config["windows"]:
        logits = model.forward_merged(pre, post, labels, keep, representative, other)
        report.tensor(f"window {other} pre", logits[0], fixture[f"output.window{other}.logits_pre"])
        report.tensor(f"window {other} post", logits[1], fixture[f"output.window{other}.logits_post"])

    # Greedy decoding without a cache: the whole sequence again for every token.
    batch, length = pre.shape
    pre, post = torch.zeros_like(pre), torch.zeros_like(post)
    representative = torch.arange(length).repeat(batch, 1)
    for i in range(length):
        with torch.no_grad():
            logits = model.forward_merged(pre, post, labels, keep, representative, window)
            pre[:, i] = logits[0][:, i].argmax(-1)
            logits = model.forward_merged(pre, post, labels, keep, representative, window)
            post[:, i] = logits[1][:, i].argmax(-1)
        same = (pre[:, :i] == pre[:, i : i + 1]) & (post[:, :i] == post[:, i : i + 1])
        for b in range(batch):
            representative[b, i] = same[b].nonzero()[0, 0] if same[b].any() else i
    report.equal("greedy pre", pre, fixture["output.greedy_pre"])
    report.equal("greedy post", post, fixture["output.greedy_post"])
    report.equal("greedy representative", representative, fixture["output.greedy_representative"])
    # One more column, so that the last token has a row too.
    longer = torch.cat([representative, torch.full((batch, 1), length)], dim=1)
    entries = merged_mask(longer, window)[:, 2:].sum(-1)
    report.equal("cache entries", entries, fixture["output.greedy_cache_entries"])


def check_random_order_generator(fixture: fixtures.Fixture, dtype: torch.dtype):
    report = Report(f"{fixture.path.name} ({dtype})")
    model = load_generator(fixture, dtype, random_order=True)
    pre, post = fixture["input.pre"].long(), fixture["input.post"].long()
    logits = model.forward_random_order(pre, post, fixture["input.class"].long(), fixture["input.cells"].long())
    check_logits_and_gradients(report, fixture, model, logits, pre, post)


def check_generator_trajectory(fixture: fixtures.Fixture, dtype: torch.dtype):
    report = Report(f"{fixture.path.name} ({dtype})")
    model, settings = load_generator(fixture, dtype), fixture.config
    optimizer = torch.optim.AdamW(
        decay_groups(model, settings["weight_decay"]),
        lr=settings["learning_rate"],
        betas=settings["betas"],
        eps=settings["eps"],
    )
    batch, length = settings["batch"], settings["grid"] ** 2
    first, second = (2**bits for bits in settings["factorized_bits"])

    def drawn(key: str, columns: int) -> torch.Tensor:
        return torch.from_numpy(fixtures.uniform(key, batch * columns).reshape(batch, columns))

    for step, reference in enumerate(fixture.json("losses")):
        pre = (drawn(f"pre-{step}", length) * first).floor().long()
        post = (drawn(f"post-{step}", length).square() * second).floor().long()
        labels = (drawn(f"class-{step}", 1) * (settings["class_num"] + 1)).floor().long()
        losses = factorized_loss(model(pre, post, labels), pre, post)
        optimizer.zero_grad(set_to_none=True)
        sum(losses).backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), settings["clip_norm"])
        optimizer.step()
        report.scalar(f"step {step} pre", losses[0], reference["pre"])
        report.scalar(f"step {step} post", losses[1], reference["post"])
        report.scalar(f"step {step} gradient norm", norm, reference["gradient_norm"])
    check_final_weights(report, fixture, model, None)


def check_perceptual(fixture: fixtures.Fixture, dtype: torch.dtype):
    report = Report(f"{fixture.path.name} ({dtype})")
    torch.set_default_dtype(dtype)
    network = perceptual_by_rule(fixture.metadata["salt"], dtype)
    image = fixture["input.b"].to(dtype).requires_grad_()
    distances = network(image, fixture["input.a"].to(dtype))
    report.tensor("distance", distances, fixture["output.distance"])
    distances.mean().backward()
    report.gradients({"input.b": image.grad}, fixture.group("grads."))


def perceptual_by_rule(salt: str, dtype: torch.dtype) -> PerceptualLoss:
    network = PerceptualLoss().to(dtype)
    for name, parameter in network.named_parameters():
        weights = torch.from_numpy(fixtures.by_rule(name, tuple(parameter.shape), salt)).to(dtype)
        parameter.copy_(weights.abs() if name.startswith("lin") else weights)
    return network


def check_discriminator(fixture: fixtures.Fixture, dtype: torch.dtype):
    report = Report(f"{fixture.path.name} ({dtype})")
    torch.set_default_dtype(dtype)
    network = Discriminator(fixture.config["ndf"], fixture.config["n_layers"]).to(dtype)
    network.load_state_dict({k: v.to(dtype) if v.is_floating_point() else v for k, v in fixture.group("weights.").items()})
    image = fixture["input.fake"].to(dtype).requires_grad_()
    real, fake = network(fixture["input.real"].to(dtype)), network(image.detach())
    report.tensor("logits real", real, fixture["output.logits_real"])
    report.tensor("logits fake", fake, fixture["output.logits_fake"])
    for name, value in fixture.group("after.").items():
        report.tensor(name, network.get_buffer(name), value)
    reference = fixture.json("losses")
    # The fixture's averages are those after the update.
    lecam = LeCAM(reference["lecam_real_ema"], reference["lecam_fake_ema"])
    loss = hinge_loss(real, fake) + 0.01 * lecam(real, fake)
    report.scalar("hinge", hinge_loss(real, fake), reference["hinge"])
    report.scalar("lecam", lecam(real, fake), reference["lecam"])
    report.scalar("disc", loss, reference["disc"])
    loss.backward()
    gradients = {name: p.grad for name, p in network.named_parameters()}
    opinion = generator_loss(network(image))
    report.scalar("gen_non_saturating", opinion, reference["gen_non_saturating"])
    (gradients["generator.input"],) = torch.autograd.grad(opinion, image)
    report.gradients(gradients, fixture.group("grads."))


def check_stage_one(fixture: fixtures.Fixture, dtype: torch.dtype):
    """A step's gradients against those of its loss written down in one piece, which PyTorch differentiates."""
    report = Report(f"stage 1 on {fixture.path.name} ({dtype})")
    torch.set_default_dtype(dtype)
    model = Tokenizer(tokenizer_config(fixture.config)).to(dtype)
    model.load_state_dict({k: v.to(dtype) for k, v in fixture.group("weights.").items()})
    torch.manual_seed(0)
    stage = StageOne(model, perceptual_by_rule("", dtype), Discriminator(16, 2).to(dtype))
    image, merged = fixture["input.image"].to(dtype), fixture.config["merge_num"]
    values = stage.generator_backward(image, merged)
    ours = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad(set_to_none=True)

    out, last = model(image, merged), model.decoder.conv_out.weight
    losses = reconstruction_losses(out, image)
    nll = losses["l1"] + stage.perceptual(out["reconstruction"], image).mean()
    adversarial = generator_loss(stage.discriminator(out["reconstruction"]))
    norms = [torch.autograd.grad(loss, last, retain_graph=True)[0].norm() for loss in (nll, adversarial)]
    weight = (0.8 * norms[0] / (norms[1] + 1e-4)).detach()
    codes = losses["loss"] - losses["l1"] + source_loss(out)
    (nll + weight * adversarial + codes).backward()
    report.scalar("adaptive weight", values["weight"], weight.item())
    report.scalar("codes", values["codes"], codes.item())
    report.gradients(ours, {name: p.grad for name, p in model.named_parameters() if p.grad is not None})


def check_tokenizer_and_stage_one(fixture: fixtures.Fixture, dtype: torch.dtype):
    check_tokenizer(fixture, dtype)
    check_stage_one(fixture, dtype)


CHECKS = {
    "tokenizer": check_tokenizer_and_stage_one,
    "lpips": check_perceptual,
    "discriminator": check_discriminator,
    "trajectory_tokenizer": check_tokenizer_trajectory,
    "ar": check_generator,
    "merge_ar": check_merged_generator,
    "random_order": check_random_order_generator,
    "trajectory_generator": check_generator_trajectory,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--single", action="store_true", help="compute in float32 (trajectories are chaotic there)")
    parser.add_argument("--kind", choices=sorted(CHECKS), action="append", help="only fixtures of this kind")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for kind in arguments.kind or CHECKS:
        check = CHECKS[kind]
        for fixture in fixtures.every(kind):
            check(fixture, torch.float32 if arguments.single else torch.float64)
    return 1 if Report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
