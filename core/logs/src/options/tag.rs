//! The template of the option `tag`: text with fields such as `{{.Name}}` in it.

use std::str::FromStr;
use wharf_types::{Error, Result};

/// The product's name in tags.
const DAEMON: &str = "wharf";
/// What `ID` and `ImageID` show, in characters.
const SHORT: usize = 12;

/// What a tag can tell of a container.
#[derive(Debug, Clone, Copy)]
pub struct TagContext<'a> {
    /// 64 hex digits.
    pub container_id: &'a str,
    /// Without a slash.
    pub container_name: &'a str,
    /// `sha256:…`.
    pub image_id: &'a str,
    /// The image as the user named it.
    pub image_name: &'a str,
    /// The program and its arguments.
    pub command: &'a str,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Field(Field),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Field {
    Id,
    FullId,
    Name,
    ImageId,
    ImageFullId,
    ImageName,
    DaemonName,
    Hostname,
    Command,
}

const FIELDS: [(&str, Field); 9] = [
    (".ID", Field::Id),
    (".FullID", Field::FullId),
    (".Name", Field::Name),
    (".ImageID", Field::ImageId),
    (".ImageFullID", Field::ImageFullId),
    (".ImageName", Field::ImageName),
    (".DaemonName", Field::DaemonName),
    (".Hostname", Field::Hostname),
    (".Command", Field::Command),
];

impl FromStr for Template {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, after) =
                after.split_once("}}").ok_or_else(|| Error::invalid(format!("invalid value for tag: unclosed action in {text:?}")))?;
            let field = FIELDS.iter().find(|(known, _)| *known == name.trim());
            let (_, field) = field.ok_or_else(|| Error::invalid(format!("invalid value for tag: {{{{{name}}}}} is not supported")))?;
            parts.extend([Part::Text(before.to_owned()), Part::Field(*field)]);
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self(parts))
    }
}

impl Template {
    pub fn render(&self, of: &TagContext<'_>) -> String {
        let short = |id: &str| id.get(..SHORT).unwrap_or(id).to_owned();
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Field(field) => match field {
                Field::Id => short(of.container_id),
                Field::FullId => of.container_id.to_owned(),
                Field::Name => of.container_name.to_owned(),
                Field::ImageId => short(of.image_id),
                Field::ImageFullId => of.image_id.to_owned(),
                Field::ImageName => of.image_name.to_owned(),
                Field::DaemonName => DAEMON.to_owned(),
                Field::Hostname => rustix::system::uname().nodename().to_string_lossy().into_owned(),
                Field::Command => of.command.to_owned(),
            },
        };
        self.0.iter().map(part).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(template: &str) -> String {
        let id = "0123456789abcdef".repeat(4);
        let image = format!("sha256:{id}");
        let of = TagContext { container_id: &id, container_name: "web", image_id: &image, image_name: "nginx:1", command: "nginx -g x" };
        template.parse::<Template>().unwrap().render(&of)
    }

    #[test]
    fn fields() {
        assert_eq!(render("{{.ImageName}}/{{ .Name }}/{{.ID}} end"), "nginx:1/web/0123456789ab end");
        assert_eq!(render("{{.DaemonName}} {{.Command}} {{.ImageID}}"), "wharf nginx -g x sha256:01234");
        assert_eq!(render("plain }} text"), "plain }} text");
        assert!(!render("{{.Hostname}}").is_empty());
        assert_eq!(render("{{.FullID}}").len() + "sha256:".len(), render("{{.ImageFullID}}").len());
    }

    #[test]
    fn what_is_not_supported_is_refused() {
        for bad in ["{{.Name", "{{.ExtraAttributes}}", "{{if .Name}}x{{end}}", "{{Name}}"] {
            assert!(bad.parse::<Template>().unwrap_err().message().starts_with("invalid value for tag: "), "{bad}");
        }
    }
}
