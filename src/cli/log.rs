//! Log lines to stderr: text or JSON.
