"""The command line's entry: options, output, exit codes.

Results go to stdout, progress to stderr. Exit code 0: nothing of level warning or error; 1: some; 2: it could not run;
3 with ``--strict``: everything is UNKNOWN. Nothing heavy is imported before a verb needs it.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from qed.cli import (
    backprop,
    check_gradient,
    convexity,
    critical,
    cross_entropy,
    derive,
    enclose,
    entropy,
    expect,
    globally,
    kl,
    lipschitz,
    minimize,
    normalizer,
    precision,
    probability,
    rate,
    spectrum,
    stabilize,
    step_size,
    taylor,
    verdict,
)
from qed.cli.output import finish, seconds
from qed.cli.question import AsJson, Quiet, Strict, Unfold
from qed.errors import QedError


class Spellings(TyperGroup):
    """Commands are found with hyphens for underscores, too: step-size is step_size."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a name."""
        return super().get_command(ctx, cmd_name) or super().get_command(ctx, cmd_name.replace("-", "_"))


app = typer.Typer(
    cls=Spellings,
    add_completion=False,
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Answers questions about a differentiable function, and gives every answer with its reason.",
)

QUESTIONS = """\
qed answers questions about a differentiable function, and gives every answer with its reason.

  Why is my loss NaN? Why does it diverge?      qed why train.py
  The same for one loss, with advice tried      qed why train.py:loss --at w --step sgd:0.1
  How does the gradient come about?             qed backprop train.py:loss --at w
  What is the derivative, by which rules?       qed derive train.py:loss --at w
  Is my gradient right?                         qed check train.py:loss --at w
  Between which numbers does it stay?           qed enclose train.py:loss --box 0,1
  What is its mean under a probability law?     qed expect train.py:loss --measure noise
  How probable is an event?                     qed probability train.py:event --measure noise
  To what does a density integrate?             qed normalizer train.py:log_density
  How far is one law from another?              qed kl laws.py --p p --q q
  How uncertain is a law?                       qed entropy laws.py --p p
  Is it a minimum, a saddle, or neither?        qed critical train.py:loss --at w
  How much does it bend, in which parameters?   qed spectrum train.py:loss --at w
  Is it convex?                                 qed convex train.py:loss --at w
  How many digits are lost, and where?          qed precision train.py:loss --at w
  Where is its least value on a box?            qed globally train.py:loss --box 0,1
  Where is its least value near a start?        qed minimize train.py:loss --at w
  What is the point that a solver found?        qed verdict train.py:loss --at w
  Which step is stable there, which is best?    qed step_size train.py:loss --at w
  How fast does a method converge?              qed rate train.py:loss --at w --method newton
  Which polynomial is it nearby?                qed taylor train.py:loss --at w --order 2
  Does it keep its digits, and how would it?    qed stabilize train.py:loss --at w
  What does a code mean?                        qed explain QED201
  How does it work, with numbers?               qed explain learning-rate
  Which topics are there?                       qed explain

qed why --help says more."""


@app.callback(invoke_without_command=True)
def questions(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Answers questions about a differentiable function, and gives every answer with its reason."""
    if version:
        import qed

        typer.echo(f"qed {qed.__version__}")
        raise typer.Exit(0)
    if context.invoked_subcommand is None:
        typer.echo(QUESTIONS)


@app.command()
def why(
    target: Annotated[
        str, typer.Argument(metavar="FILE.py[:LOSS]", help="A loss, loss(at, *args) -> scalar; or a whole script.")
    ],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[-- ARGS]", help="The script's own command line, behind --.")
    ] = None,
    at: Annotated[str | None, typer.Option(metavar="NAME", help="The parameters.")] = None,
    args: Annotated[
        str | None, typer.Option(metavar="NAME,NAME", help="The data that the loss is called with.")
    ] = None,
    step: Annotated[
        str | None,
        typer.Option(metavar="RULE", help="sgd:0.1, sgd:0.1,momentum=0.9,nesterov, adamw:3e-4,wd=0.1, or a name."),
    ] = None,
    names: Annotated[str | None, typer.Option(metavar="NAME", help="Names for the parameters' axes.")] = None,
    key: Annotated[str | None, typer.Option(metavar="NAME", help="A random key, passed after the data.")] = None,
    has_aux: Annotated[bool, typer.Option("--has-aux", help="The loss returns (loss, auxiliary).")] = False,
    steps: Annotated[int | None, typer.Option(metavar="N", min=1, help="Stop the script after N steps.")] = None,
    budget: Annotated[str, typer.Option(metavar="SECONDS", help="Time to spend, such as 60s or 2m.")] = "60s",
    unfold: Unfold = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    strict: Strict = False,
) -> None:
    """Why is the loss NaN, why does it diverge; or that nothing is wrong, and what was checked."""
    from qed.cli.progress import Reporter
    from qed.cli.why import Script, ask

    with Reporter(quiet=quiet) as reporter:
        answer = ask(
            target,
            at=at,
            args=args,
            names=names,
            key=key,
            step=step,
            has_aux=has_aux,
            script=Script(tuple(arguments or ()), steps, quiet_stdout=as_json),
            budget=seconds(budget),
            progress=reporter.progress,
            first_verdict=reporter.say,
        )
    finish(answer, as_json=as_json, unfold=unfold, strict=strict)


# --- questions about one function at one point: a line each, `app.command("VERB")(qed.cli.VERB.command)` ---

app.command("backprop")(backprop.command)
app.command("convex")(convexity.command)
app.command("convexity", hidden=True)(convexity.command)
app.command("critical")(critical.command)
app.command("critical_point", hidden=True)(critical.command)
app.command("cross_entropy")(cross_entropy.command)
app.command("derive")(derive.command)
app.command("enclose")(enclose.command)
app.command("entropy")(entropy.command)
app.command("expect")(expect.command)
app.command("kl")(kl.command)
app.command("normalizer")(normalizer.command)
app.command("precision")(precision.command)
app.command("probability")(probability.command)
app.command("rate")(rate.command)
app.command("spectrum")(spectrum.command)
app.command("step_size")(step_size.command)
app.command("stabilize")(stabilize.command)
app.command("lipschitz")(lipschitz.command)
app.command("minimize")(minimize.command)
app.command("minimize_globally")(globally.command)
app.command("globally", hidden=True)(globally.command)
app.command("taylor")(taylor.command)
app.command("verdict")(verdict.command)
app.command("check")(check_gradient.command)
app.command("check_gradient", hidden=True)(check_gradient.command)


@app.command()
def explain(
    topic: Annotated[str | None, typer.Argument(metavar="CODE|TOPIC", help="QED201, learning-rate, ...")] = None,
) -> None:
    """Print the page of a code or of a topic; without one, the table of contents."""
    from qed.cli.explain import show as print_page

    print_page(topic)


def main() -> None:
    """Run the command line; a QedError becomes its three lines and exit code 2."""
    as_json = "--json" in sys.argv
    try:
        app()
    except QedError as error:
        if as_json:
            typer.echo(json.dumps(error.to_json()))
        else:
            typer.echo(_error_text(error), err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception:  # exit code 1, Python's own, would say that something was found
        import traceback

        traceback.print_exc()
        typer.echo("this is a fault of qed, not of the file: please report the lines above", err=True)
        sys.exit(2)


def _error_text(error: QedError) -> str:
    lines = [f"{error.code}  {error.what}"]
    if error.span is not None and error.span.text.strip():
        line, caret = error.span.caret
        lines += [f"  {error.span}   {line.strip()}"]
        indent = len(line) - len(line.lstrip())
        if caret.strip():
            lines += [" " * len(f"  {error.span}   ") + caret[indent:]]
    lines += [f"  because  {error.because}"] if error.because else []
    lines += [f"  instead  {error.instead}"] if error.instead else []
    lines.append(f"qed explain {error.code}")
    return "\n".join(lines)
