//! Changing a password and raising a profile, with everything lost that can be.

