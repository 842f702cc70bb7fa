"""A PyDM display of one plot, offscreen; run with a Python of its own, which has PyDM.

Usage: ``pydm_reader.py STEM PICTURE``. Answers each line on stdin: ``tell`` with the widgets as JSON, ``put TEXT`` by
typing it into the field of the threshold, ``picture`` by writing the picture. The end of stdin ends it.
"""

from __future__ import annotations

import json
import os
import sys

os.environ |= {"QT_QPA_PLATFORM": "offscreen", "PYDM_EPICS_LIB": "pyepics"}

from pydm import PyDMApplication
from pydm.widgets import PyDMEnumComboBox, PyDMLabel, PyDMLineEdit
from qtpy.QtCore import QSocketNotifier
from qtpy.QtWidgets import QFormLayout, QWidget

WIDGETS = {
    "STATUS": PyDMLabel,
    "CONF": PyDMLabel,
    "CLASS": PyDMLabel,
    "MSG": PyDMLabel,
    "THRESH:BAD": PyDMLineEdit,
    "ENABLE": PyDMEnumComboBox,
}


def main(stem: str, picture: str) -> None:
    app = PyDMApplication(use_main_window=False)
    display = QWidget()
    form = QFormLayout(display)
    widgets = {leaf: kind(parent=display, init_channel=f"ca://{stem}:{leaf}") for leaf, kind in WIDGETS.items()}
    for leaf, widget in widgets.items():
        widget.alarmSensitiveBorder = True
        form.addRow(leaf, widget)
    widgets["MSG"].displayFormat = PyDMLabel.DisplayFormat.String
    display.resize(640, 240)
    display.show()

    def answer() -> None:
        match sys.stdin.readline().split():
            case ["tell"]:
                say({leaf: shown(widget) for leaf, widget in widgets.items()})
            case ["put", text]:
                widgets["THRESH:BAD"].setText(text)
                widgets["THRESH:BAD"].send_value()
                say("ok")
            case ["picture"]:
                say(display.grab().save(picture))
            case _:
                app.quit()

    line = QSocketNotifier(sys.stdin.fileno(), QSocketNotifier.Read)
    line.activated.connect(answer)
    app.exec_()


def shown(widget: QWidget) -> dict[str, object]:
    """What a person sees of it; a severity as a number, 0 to 3, and 4 for what is disconnected."""
    text = widget.currentText() if isinstance(widget, PyDMEnumComboBox) else widget.text()
    return {"text": text, "severity": widget._alarm_state, "connected": widget._connected}


def say(what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
