"""A JupyterLab and a browser for the tests of the dashboard."""

import os
import subprocess
import sys

import lab_driver
import pytest
from networks import ENDLESS, SMALL
from tiers import Needs, needed

from snnlab import models
from snnlab.live import LiveTrainer


@pytest.fixture
def make_lab():
    """Makes LiveTrainers of ten classes, and closes them at the end."""
    made = []

    def make(data, config, **options) -> LiveTrainer:
        net = models.build(config, sample_shape=data.sample_shape, num_classes=10)
        made.append(LiveTrainer(net, data, **options))
        return made[-1]

    yield make
    for lab in made:
        lab.close()


@pytest.fixture
def make(make_lab, small):
    """Makes LiveTrainers of the small network, which train until they are stopped."""

    def one(**options) -> LiveTrainer:
        return make_lab(small, SMALL, **{"epochs": ENDLESS, "batch_size": 32} | options)

    return one


@pytest.fixture(scope="session")
def served(tmp_path_factory):
    """The folder that JupyterLab serves."""
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="session")
def chromium():
    """Path of the browser."""
    if lab_driver.CHROMIUM is None:
        Needs.missing("browser", "no chromium: apt-get install chromium (or another Chromium on the PATH)")
    needed("playwright.sync_api", "browser")
    return lab_driver.CHROMIUM


@pytest.fixture
def ipykernel(tmp_path_factory):
    """Installs a version of ipykernel in a folder of its own, which it returns."""

    def install(version: str) -> str:
        folder = tmp_path_factory.mktemp("ipykernel")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder]
        done = subprocess.run([*pip, f"ipykernel=={version}"], capture_output=True, text=True)
        if done.returncode:
            message = f"cannot install ipykernel {version}: {done.stderr[-200:]}"
            pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
        return str(folder)

    return install


@pytest.fixture(scope="session")
def server(served, chromium):
    """Address of a JupyterLab that all tests share."""
    with lab_driver.jupyter(served) as address:
        yield address


@pytest.fixture
def address(server):
    """Of a running JupyterLab, without kernels."""
    yield server
    lab_driver.end_kernels(server)


@pytest.fixture
def lab_folder(served, request):
    """A folder of its own for every test, served by JupyterLab; a picture of the page is left there."""
    folder = served / request.node.name.replace("[", "-").replace("]", "")
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def one_browser(chromium):
    """A real Chromium for all tests of a file."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=lab_driver.FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def browser(one_browser):
    """A real Chromium, which is left without a page."""
    yield one_browser
    for context in one_browser.contexts:
        context.close()


@pytest.fixture
def page(browser, lab_folder):
    """A fresh page."""
    page = browser.new_page(viewport={"width": 1200, "height": 2600})
    yield page
    if not page.is_closed():
        page.screenshot(path=lab_folder / "page.png", full_page=True)
