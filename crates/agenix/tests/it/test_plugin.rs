//! The test plugin has tests of its own, in its own language. They belong to the suite.

use crate::keys::must;

#[test]
fn the_test_plugin_speaks_the_protocol() {
    must("python3", &[concat!(env!("CARGO_MANIFEST_DIR"), "/tests/plugin/test_plugin.py")]);
}
