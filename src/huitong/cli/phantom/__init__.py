"""Generated studies for demonstration and tests: CT, radiograph, ultrasound loop, ECG, report. Nobody's data."""

from huitong.cli.phantom.ct import ct_study
from huitong.cli.phantom.dx import dx_file
from huitong.cli.phantom.ecg import ecg_file
from huitong.cli.phantom.report import report_file
from huitong.cli.phantom.us import us_file

__all__ = ["ct_study", "dx_file", "ecg_file", "report_file", "us_file"]
