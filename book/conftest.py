"""What `pytest --nbmake book` needs: an Output widget may not stop it."""

from execution import mend_output_widgets

mend_output_widgets()
