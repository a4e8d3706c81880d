#!/usr/bin/env python3
"""Makes the pictures of the wizard: runs a program in a terminal emulator and writes what it shows as SVG.

    pip install pyte rich            # and resvg-py for --png
    python assets/pictures/make.py                 sample screens, by `cargo run --example screens`
    python assets/pictures/make.py --only review   some of them
    python assets/pictures/make.py --real          the program itself: a walk through a project made on the fly
    python assets/pictures/make.py --png DIR       PNG files as well, to look at (DejaVu Sans Mono is used)
    python assets/pictures/make.py --out DIR --size 80x24 --light
    python assets/pictures/make.py --real --only found region key offer trace

The pictures in this folder are made with --real. Only real output is shown: nothing is drawn by hand.
"""

import argparse
import fcntl
import os
import pathlib
import pty
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

import pyte
import pyte.graphics
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = pathlib.Path(__file__).resolve().parents[2]
FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"

DARK = TerminalTheme(
    (22, 24, 29),
    (214, 216, 221),
    [(60, 64, 72), (240, 113, 120), (135, 200, 120), (226, 185, 92), (110, 160, 240), (200, 140, 230), (86, 194, 205), (214, 216, 221)],
)
LIGHT = TerminalTheme(
    (252, 252, 250),
    (45, 48, 54),
    [(45, 48, 54), (196, 42, 52), (30, 122, 42), (150, 104, 0), (30, 90, 190), (140, 60, 170), (0, 118, 134), (120, 122, 128)],
)
NAMES = ["black", "red", "green", "brown", "blue", "magenta", "cyan", "white"]


class Screen(pyte.Screen):
    """A screen that knows dim text, which pyte does not: its unused `blink` carries it."""

    def select_graphic_rendition(self, *attributes, **more):
        changed, codes = [], list(attributes)
        while codes:
            code = codes.pop(0)
            changed.extend({2: [5], 22: [22, 25], 5: []}.get(code, [code]))
            if code in (38, 48) and codes:
                # What follows is a colour: `5;N` or `2;R;G;B`.
                rest = 2 if codes[0] == 5 else 4
                changed.extend(codes[:rest])
                del codes[:rest]
        super().select_graphic_rendition(*changed, **more)


class Terminal:
    """A program in a pseudo-terminal, and the screen that it draws."""

    def __init__(self, command, size, cwd=ROOT, env=None):
        self.columns, self.rows = size
        self.screen = Screen(self.columns, self.rows)
        self.stream = pyte.ByteStream(self.screen)
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            os.execvpe(command[0], command, {**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", **(env or {})})
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", self.rows, self.columns, 0, 0))

    def read(self, seconds):
        """Takes in what comes within some time; false when the program has ended."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not select.select([self.fd], [], [], left)[0]:
                return True
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                return False
            if not data:
                return False
            self.stream.feed(data)
        return True

    def text(self):
        return "\n".join(self.screen.display)

    def wait(self, text, seconds=120):
        """Waits until the screen shows a text, then until it is still for a moment."""
        end = time.monotonic() + seconds
        while text not in self.text():
            if time.monotonic() > end or not self.read(0.1) and text not in self.text():
                sys.exit(f"`{text}` was never shown; the screen is:\n{self.text()}")
        self.read(0.3)

    def gone(self, text, seconds=120):
        """Waits until a text is not shown any more."""
        end = time.monotonic() + seconds
        while text in self.text() and time.monotonic() < end and self.read(0.1):
            pass
        self.read(0.3)

    def press(self, keys):
        os.write(self.fd, keys.encode())
        self.read(0.2)

    def end(self):
        while self.read(5):
            pass

    def close(self):
        try:
            os.kill(self.pid, signal.SIGTERM)
        except ProcessLookupError:
            pass
        self.read(2)
        os.close(self.fd)
        os.waitpid(self.pid, 0)


def named(colour):
    """One of the terminal's own colours; crossterm names them by their place in the palette, which pyte turns into values."""
    if colour in NAMES:
        return Color.from_ansi(NAMES.index(colour))
    if colour in pyte.graphics.FG_BG_256[:16]:
        return Color.from_ansi(pyte.graphics.FG_BG_256.index(colour) % 8)
    return None


def painted(screen, theme):
    """The screen as rich's text."""
    text = Text()
    for y in range(screen.lines):
        run, style = "", Style()
        for x in range(screen.columns):
            cell = screen.buffer[y][x]
            colour = named(cell.fg)
            if cell.blink:
                # Half way to the background, as most terminals draw dim.
                base = colour.get_truecolor(theme) if colour else theme.foreground_color
                colour = Color.from_rgb(*(round(0.62 * a + 0.38 * b) for a, b in zip(base, theme.background_color)))
            here = Style(color=colour, bold=cell.bold or None, reverse=cell.reverse or None)
            if cell.data == " " and not cell.reverse:
                # A space has no colour: it need not end a run.
                here = style
            if here != style:
                text.append(run, style)
                run, style = "", here
            run += cell.data
        text.append(run.rstrip(), style)
        text.append("\n")
    return text


def save(screen, name, options):
    theme = LIGHT if options.light else DARK
    console = Console(record=True, width=screen.columns, file=open(os.devnull, "w"), force_terminal=True, color_system="truecolor")
    console.print(painted(screen, theme), end="", soft_wrap=True)
    svg = console.export_svg(title="signoz-setup", theme=theme, code_format=SVG, font_aspect_ratio=0.602)
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"{name}.svg"
    path.write_text(svg)
    print(path)
    if options.png:
        import resvg_py

        options.png.mkdir(parents=True, exist_ok=True)
        image = resvg_py.svg_to_bytes(svg_string=svg.replace(FONTS, "'DejaVu Sans Mono', 'Noto Sans CJK JP', 'WenQuanYi Zen Hei'"), zoom=1)
        (options.png / f"{name}.png").write_bytes(bytes(image))


SVG = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: %s; font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
.{unique_id}-title {{ font-family: %s; font-size: 16px; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
""" % (FONTS, FONTS)


def samples(options):
    """Sample screens, as the example shows them on a normal screen."""
    listed = subprocess.run(["cargo", "run", "--quiet", "--example", "screens"], cwd=ROOT, check=True, capture_output=True, text=True)
    names = [line.split()[0] for line in listed.stdout.splitlines()]
    for name in options.only or names:
        columns, rows = options.size
        terminal = Terminal(["target/debug/examples/screens", name, f"{columns}x{rows}"], (columns, rows + 1))
        terminal.end()
        # The line after the frame is the shell's.
        terminal.screen.lines = rows
        save(terminal.screen, name, options)
        terminal.close()


APP = """\
from flask import Flask, render_template_string
from sqlalchemy import create_engine, text

app = Flask(__name__)
engine = create_engine("sqlite://")
PAGE = "<h1>orders</h1>{% for row in rows %}<p>{{ row[0] }}</p>{% endfor %}"


@app.get("/")
def orders():
    with engine.connect() as connection:
        connection.execute(text("create table if not exists orders (name text)"))
        connection.execute(text("insert into orders values ('tea')"))
        rows = connection.execute(text("select name from orders limit 20")).all()
    return render_template_string(PAGE, rows=rows)
"""

# The stations whose pictures are in this folder; `--only` names others.
KEPT = ["sets", "review", "applying", "verified", "report"]

DOWN, ENTER = "\x1b[B", "\r"


def project(folder):
    """A small app with its own environment, as many people have one."""
    shop = folder / "shop"
    shop.mkdir()
    (shop / "app.py").write_text(APP)
    (shop / "Procfile").write_text("web: gunicorn app:app --workers 4\n")
    (shop / "requirements.txt").write_text("flask\ngunicorn\nsqlalchemy\n")
    subprocess.run([sys.executable, "-m", "venv", shop / ".venv"], check=True)
    subprocess.run([shop / ".venv/bin/python", "-m", "pip", "install", "--quiet", "-r", shop / "requirements.txt"], check=True)
    return shop


def walk(terminal, options, endpoint):
    """Through the wizard, a picture at each station."""

    def shown(name):
        if name in (options.only or KEPT):
            save(terminal.screen, name, options)

    terminal.wait("Found in shop")
    shown("found")
    terminal.press(ENTER)
    terminal.wait("region?")
    shown("region")
    terminal.press("8" + ENTER)
    terminal.wait("address of your SigNoz")
    terminal.press(endpoint + ENTER)
    terminal.wait("ingestion key?")
    terminal.press("\x1b[200~picture-key\n\x1b[201~")
    shown("key")
    terminal.press(ENTER)
    terminal.wait("name should the app appear")
    terminal.press(ENTER)
    terminal.wait("deployment environment")
    terminal.press("production" + ENTER)
    terminal.wait("Which releases")
    terminal.gone("asking the resolver")
    shown("sets")
    terminal.press(ENTER)
    terminal.wait("How is the app started?")
    terminal.press(ENTER)
    terminal.wait("to do")
    for _ in range(2):
        terminal.press(DOWN)
    shown("review")
    terminal.press(ENTER)
    terminal.wait("Installing", 60)
    shown("applying")
    terminal.wait("One proof is left", 180)
    shown("offer")
    terminal.press(ENTER)
    terminal.wait("requests", 60)
    terminal.wait("enter report", 120)
    shown("verified")
    terminal.press(DOWN * 40)
    shown("trace")
    terminal.press(ENTER)
    terminal.wait("Next")
    shown("report")
    terminal.press(ENTER)


def real(options):
    """The program itself, against its own receiver."""
    subprocess.run(["cargo", "build", "--quiet"], cwd=ROOT, check=True)
    program = str(ROOT / "target/debug/signoz-setup")
    # Its path is seen in the pictures, so it has a short name; it must not be there yet.
    folder = pathlib.Path(tempfile.gettempdir()) / "demo"
    folder.mkdir()
    home = folder / "home"
    home.mkdir()
    env = {"HOME": str(home), "XDG_STATE_HOME": str(home / "state")}
    receiver = None
    try:
        shop = project(folder)
        receiver = subprocess.Popen([program, "--tap", "--plain", "--grpc-port", "0", "--http-port", "0"], stderr=subprocess.PIPE, text=True)
        endpoint = next(word for line in receiver.stderr for word in line.split() if word.startswith("http://"))
        terminal = Terminal([program, "."], options.size, cwd=shop, env=env)
        walk(terminal, options, endpoint.rstrip(",;"))
        terminal.end()
        terminal.close()
    finally:
        if receiver:
            receiver.terminate()
        shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", action="store_true")
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent)
    parser.add_argument("--png", type=pathlib.Path)
    parser.add_argument("--size", default="100x36", type=lambda text: tuple(map(int, text.split("x"))))
    parser.add_argument("--light", action="store_true")
    options = parser.parse_args()
    (real if options.real else samples)(options)


if __name__ == "__main__":
    main()
