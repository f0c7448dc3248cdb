"""A JupyterLab and a browser for the tests of the dashboard."""

import os

import lab_driver
import pytest


@pytest.fixture
def lab_folder(tmp_path):
    """Served by JupyterLab; a picture of the page is left there."""
    return tmp_path


@pytest.fixture
def address(lab_folder):
    """Of a running JupyterLab."""
    if lab_driver.CHROMIUM is None:
        message = "no chromium: apt-get install chromium (or another Chromium on the PATH)"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    with lab_driver.jupyterlab(lab_folder) as address:
        yield address


@pytest.fixture
def page(address, lab_folder):
    """A fresh page in a real Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=lab_driver.CHROMIUM, args=lab_driver.FLAGS)
        page = browser.new_page(viewport={"width": 1200, "height": 1400})
        yield page
        page.screenshot(path=lab_folder / "page.png", full_page=True)
        browser.close()
