pytest_plugins = ["gt_conformance.pytest_plugin"]
