//! temp
#[derive(Debug)]
pub struct Vault;
impl Vault {
    pub fn pseudonym(&self, s: &str, t: &str) -> String {
        format!("{s}{t}")
    }
}
