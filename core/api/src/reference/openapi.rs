//! The table as an OpenAPI description of the newest API version, with the shapes of the wire types.

use super::{compare, refusal};
use crate::{
    contract::{Answer, Content, Kind, Param, RequestBody, Shape},
    endpoint::{Row, Verb},
    error,
    reply::{JSON, TAR, TEXT},
    routes,
};
use schemars::generate::{Contract, SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};
use wharf_api_types::{ApiVersion, MAX_API_VERSION};

#[test]
fn the_description_is_current() {
    compare("openapi.json", &format!("{}\n", serde_json::to_string_pretty(&description()).unwrap()));
}

const ABOUT: &str = "\
The Docker Engine API as Wharf serves it, in its newest version; rows that only older versions have are here under the last of \
these. Generated from the route table and the wire types.

Besides the statuses that are listed, every request can be answered with 500 when the engine fails, and with 503 while it shuts \
down. Booleans of the query are true unless they say `0`, `no`, `false` or `none`. JSON bodies take `null` for every field, and \
fields that are not known are ignored.";

fn description() -> Value {
    let mut shapes = Shapes { sent: generator(Contract::Deserialize), answered: generator(Contract::Serialize) };
    let mut paths = Map::new();
    for row in routes() {
        let item = paths.entry(path(row)).or_insert_with(|| json!({}));
        item[row.verb.as_str().to_lowercase()] = operation(row, &mut shapes);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Wharf",
            "version": MAX_API_VERSION.to_string(),
            "description": ABOUT,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "without a version in the path: the newest" }],
        "paths": paths,
        "components": { "schemas": shapes.finish() },
    })
}

/// The version that the row is described for: the newest that has it.
fn version(row: &Row) -> ApiVersion {
    row.until.map_or(MAX_API_VERSION, |minor| ApiVersion::new(1, minor - 1))
}

fn path(row: &Row) -> String {
    if row.until.is_some() { format!("/v{}{}", version(row), row.path) } else { row.path.to_owned() }
}

fn operation(row: &Row, shapes: &mut Shapes) -> Value {
    let named = row.path.split(['{', '}']).skip(1).step_by(2);
    let mut parameters: Vec<_> =
        named.map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string", "minLength": 1 } })).collect();
    let objects = !parameters.is_empty();
    parameters.extend(row.query.iter().filter(|p| p.is_in(version(row))).map(|p| parameter(p, shapes)));
    let words = row.path.split('/').map(|word| word.trim_matches(['{', '}', '_']));
    let name: String =
        std::iter::once(row.verb.as_str()).chain(words).filter(|w| !w.is_empty()).collect::<Vec<_>>().join("-").to_lowercase();
    let mut operation = json!({
        // `/networks` has a twin with a slash.
        "operationId": if row.path.ends_with('/') { format!("{name}-") } else { name },
        "tags": [row.action.0.split('.').next()],
        "x-action": row.action.0,
        "parameters": parameters,
    });
    if row.since > 0 {
        operation["x-since"] = json!(format!("1.{}", row.since));
    }
    let body = match &row.body {
        RequestBody::Json(shape) => Some((JSON, shapes.sent(shape))),
        RequestBody::Archive => Some((TAR, json!({}))),
        RequestBody::Nothing | RequestBody::JsonUntil(..) => None,
    };
    if let Some((media, schema)) = body {
        operation["requestBody"] = json!({ "content": { media: { "schema": schema } } });
    }
    let answers = row.answers.iter().map(|a| (a.status, answer(a, row.verb, shapes)));
    let refused = refusal(row).map(|e| error::status(e.kind()).as_u16());
    let refusals = match refused {
        Some(status) => vec![400, 403, status],
        None => [400, 403].into_iter().chain(objects.then_some(404)).chain(row.refusals.iter().copied()).collect(),
    };
    let all: std::collections::BTreeMap<_, _> = answers.chain(refusals.into_iter().map(|s| (s, refused_with(s, row)))).collect();
    operation["responses"] = all.into_iter().map(|(status, response)| (status.to_string(), response)).collect::<Map<_, _>>().into();
    operation
}

fn parameter(param: &Param, shapes: &mut Shapes) -> Value {
    let mut described = json!({ "name": param.name, "in": "query" });
    if param.required {
        described["required"] = json!(true);
    }
    if param.since > 0 {
        described["x-since"] = json!(format!("1.{}", param.since));
    }
    let list = |items: Value| json!({ "schema": { "type": "array", "items": items } });
    let document = |schema: Value| json!({ "content": { JSON: { "schema": schema } } });
    let value = match param.kind {
        Kind::Text => json!({ "schema": { "type": "string" } }),
        Kind::Flag => json!({ "schema": { "type": "boolean" } }),
        Kind::Integer => json!({ "schema": { "type": "integer", "format": "int64" } }),
        Kind::List => list(json!({ "type": "string" })),
        Kind::Word(words) => json!({ "schema": { "type": "string", "enum": words } }),
        Kind::Words(words) => list(json!({ "type": "string", "enum": words })),
        Kind::Json(shape) => document(shapes.sent(&shape)),
        Kind::JsonList(shape) => list(json!({ "type": "string", "contentMediaType": JSON, "contentSchema": shapes.sent(&shape) })),
        Kind::Filters([]) => document(json!({ "type": "object", "additionalProperties": filter_values() })),
        Kind::Filters(keys) => {
            let keys: Map<_, _> = keys.iter().map(|key| ((*key).to_owned(), filter_values())).collect();
            document(json!({ "type": "object", "properties": keys, "additionalProperties": false }))
        }
    };
    described.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
    described
}

fn filter_values() -> Value {
    json!({ "$ref": "#/components/schemas/FilterValues" })
}

fn answer(answer: &Answer, verb: Verb, shapes: &mut Shapes) -> Value {
    let (what, media) = match &answer.content {
        Content::Nothing => ("No body.", json!({})),
        Content::Bytes => ("Bytes.", json!({})),
        Content::Json(shape) => ("One document.", json!({ "schema": shapes.answered(shape) })),
        // The document as a whole is no JSON; the next OpenAPI has `itemSchema` for this.
        Content::Lines(shape) => ("A document in each line.", json!({ "x-item-schema": shapes.answered(shape) })),
    };
    let mut response = json!({ "description": what });
    if verb != Verb::Head && !answer.media.is_empty() {
        response["content"] = answer.media.iter().map(|m| ((*m).to_owned(), media.clone())).collect::<Map<_, _>>().into();
    }
    response
}

fn refused_with(status: u16, row: &Row) -> Value {
    let what = match status {
        304 => "Nothing to do.",
        400 => "The request cannot be understood.",
        401 => "The credentials are not accepted.",
        403 => "An authorizer denies it.",
        404 => "There is no such object.",
        409 => "The object's state does not allow it.",
        500 => "Refused; Docker calls it a failure of the engine.",
        501 => "Not supported.",
        503 => "This engine is in no swarm.",
        other => panic!("what does {other} mean?"),
    };
    let mut response = json!({ "description": what });
    if status != 304 && row.verb != Verb::Head {
        response["content"] = match version(row).before(24) {
            true => json!({ TEXT: { "schema": { "type": "string" } } }),
            false => json!({ JSON: { "schema": { "$ref": "#/components/schemas/Error" } } }),
        };
    }
    response
}

/// The wire types, as clients send them and as they are answered: what may be missing differs.
struct Shapes {
    sent: SchemaGenerator,
    answered: SchemaGenerator,
}

const SCHEMAS: &str = "#/components/schemas/";

fn generator(contract: Contract) -> SchemaGenerator {
    let settings = SchemaSettings::draft2020_12().with(|s| {
        s.contract = contract;
        s.definitions_path = "/components/schemas".into();
    });
    settings.into_generator()
}

impl Shapes {
    fn sent(&mut self, shape: &Shape) -> Value {
        tidy((shape.schema)(&mut self.sent).to_value(), true)
    }

    fn answered(&mut self, shape: &Shape) -> Value {
        tidy((shape.schema)(&mut self.answered).to_value(), false)
    }

    fn finish(mut self) -> Map<String, Value> {
        let values = json!({
            "description": "The values of a filter, any of which may match; the labels are the exception, all of which must.",
            "anyOf": [
                { "type": "array", "items": { "type": "string" } },
                { "type": "object", "additionalProperties": { "type": "boolean" } },
                { "type": "null" },
            ],
        });
        let error = json!({ "type": "object", "properties": { "message": { "type": "string" } }, "required": ["message"] });
        let mut all = Map::from_iter([("Error".to_owned(), error), ("FilterValues".to_owned(), values)]);
        all.extend(self.answered.take_definitions(true).into_iter().map(|(name, schema)| (name, tidy(schema, false))));
        all.extend(self.sent.take_definitions(true).into_iter().map(|(name, schema)| (sent_name(&name), tidy(schema, true))));
        all.sort_keys();
        all
    }
}

fn sent_name(name: &str) -> String {
    format!("{name}Sent")
}

/// Takes away what only repeats names and zero values. In what is sent, names the types so, and lets every field be null.
fn tidy(mut schema: Value, sent: bool) -> Value {
    match &mut schema {
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                *value = tidy(value.take(), sent);
                if let ("$ref", Some(name), true) = (key.as_str(), value.as_str().and_then(|r| r.strip_prefix(SCHEMAS)), sent) {
                    *value = json!(format!("{SCHEMAS}{}", sent_name(name)));
                }
            }
            for field in map.get_mut("properties").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
                tidy_field(field, sent);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| *value = tidy(value.take(), sent)),
        _ => {}
    }
    schema
}

fn tidy_field(field: &mut Value, sent: bool) {
    let Some(map) = field.as_object_mut() else { return };
    map.remove("default");
    if map.get("description").and_then(Value::as_str).is_some_and(|text| text.starts_with('`')) {
        map.remove("description");
    }
    if let (Some(Value::String(one)), true) = (map.get("type"), sent) {
        map["type"] = json!([one, "null"]);
    } else if sent && map.contains_key("$ref") {
        *field = json!({ "anyOf": [field.take(), { "type": "null" }] });
    }
}
