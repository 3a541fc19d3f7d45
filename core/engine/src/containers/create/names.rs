//! Names for containers that were given none: an adjective and a sailor.

use crate::containers::{ContainerSpec, index::Reservation, shared::Shared};
use wharf_types::{ContainerId, ContainerName, Error, ErrorKind, Result};

const ADJECTIVES: &[&str] = &[
    "able", "agile", "alert", "amber", "ample", "apt", "balmy", "bold", "brave", "breezy", "bright", "brisk", "calm", "candid", "cheery",
    "clear", "clever", "cosy", "crisp", "daring", "deft", "eager", "early", "earnest", "easy", "fair", "faithful", "festive", "fleet",
    "fond", "frank", "free", "fresh", "gentle", "glad", "golden", "grand", "happy", "hardy", "hearty", "honest", "humble", "jolly", "keen",
    "kind", "lively", "loyal", "lucid", "lucky", "mellow", "merry", "mighty", "mild", "modest", "neat", "nimble", "noble", "patient",
    "placid", "plucky", "polite", "proud", "quick", "quiet", "ready", "robust", "royal", "salty", "serene", "sharp", "shiny", "silent",
    "simple", "sleek", "smooth", "snug", "sober", "solid", "spry", "stable", "stately", "steady", "stout", "sturdy", "sunny", "swift",
    "tidy", "true", "trusty", "upbeat", "valiant", "vast", "vivid", "warm", "wise", "witty", "zesty",
];
const SAILORS: &[&str] = &[
    "amundsen",
    "anson",
    "baffin",
    "barents",
    "baret",
    "beaufort",
    "bering",
    "blake",
    "bligh",
    "bougainville",
    "bowditch",
    "bouvet",
    "byron",
    "cabot",
    "cabral",
    "cartier",
    "champlain",
    "chichester",
    "cook",
    "crozier",
    "dampier",
    "davis",
    "diaz",
    "drake",
    "elcano",
    "erikson",
    "fitzroy",
    "flinders",
    "franklin",
    "frobisher",
    "gama",
    "grace",
    "hadley",
    "hanno",
    "harrison",
    "hawkins",
    "henry",
    "heyerdahl",
    "hudson",
    "kotzebue",
    "laperouse",
    "magellan",
    "maury",
    "mcclintock",
    "nansen",
    "nearchus",
    "nelson",
    "ohthere",
    "parry",
    "peary",
    "piri",
    "plimsoll",
    "pytheas",
    "quiros",
    "ross",
    "scoresby",
    "shackleton",
    "slocum",
    "tabei",
    "tasman",
    "torres",
    "vancouver",
    "vespucci",
    "wallis",
    "weddell",
    "wilkes",
    "zheng",
];
/// How often a generated name is tried before the id's short form is taken (dockerd's number).
const TRIES: usize = 6;

/// A name for a container that has none yet: its short id.
pub fn placeholder(id: &ContainerId) -> Result<ContainerName> {
    id.short().parse()
}

/// Gives the container its name, generated when none was asked for, and takes it.
///
/// # Errors
/// 409 when the name that was asked for is taken.
pub fn reserve(shared: &Shared, mut spec: ContainerSpec, asked: Option<ContainerName>) -> Result<(ContainerSpec, Reservation)> {
    if let Some(name) = asked {
        let reservation = shared.index.reserve(name.clone(), &spec.id)?;
        spec.name = name;
        return Ok((spec, reservation));
    }
    for attempt in 0..=TRIES {
        let name = if attempt < TRIES { generate()? } else { placeholder(&spec.id)? };
        match shared.index.reserve(name.clone(), &spec.id) {
            Ok(reservation) => {
                spec.name = name;
                return Ok((spec, reservation));
            }
            Err(e) if e.kind() == ErrorKind::Conflict => {}
            Err(e) => return Err(e),
        }
    }
    Err(Error::system("no free name for a container"))
}

fn generate() -> Result<ContainerName> {
    let mut random = [0u8; 4];
    getrandom::fill(&mut random).map_err(|e| Error::system(format!("random source: {e}")))?;
    let [a, b, c, d] = random;
    let pick = |list: &[&'static str], hi: u8, lo: u8| {
        list.get(usize::from(u16::from_be_bytes([hi, lo])) % list.len()).copied().unwrap_or("wharf")
    };
    format!("{}_{}", pick(ADJECTIVES, a, b), pick(SAILORS, c, d)).parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_are_names() {
        for _ in 0..100 {
            assert!(generate().unwrap().as_str().contains('_'));
        }
    }
}
