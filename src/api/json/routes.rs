//! Which path and verb is which call: read once from the annotations in the protos.
//!
//! A path is compared as it was sent, segment by segment. Only what stands for a variable is
//! decoded, and never split again: an encoded slash stays a letter of its segment, `..` is a name
//! that nothing has.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use http::Method as Verb;
use prost_reflect::{
    DescriptorPool, DynamicMessage, ExtensionDescriptor, FieldDescriptor, MethodDescriptor, Value,
};

use super::POOL;
use super::query::decoded;
use crate::api::errors::Violation;

/// Name of the option.
const HTTP_OPTION: &str = "google.api.http";

/// One path to a call.
#[derive(Debug)]
pub(super) struct Route {
    /// How it is asked.
    pub(super) verb: Verb,
    /// The path as the proto spells it.
    pub(super) template: String,
    segments: Vec<Segment>,
    /// What follows a colon at the end: `traceOrigins`.
    action: Option<String>,
    /// Whether the body is the request message; else its fields stand in path and query.
    pub(super) has_body: bool,
    /// The call.
    pub(super) method: MethodDescriptor,
    /// Its path in gRPC.
    pub(super) grpc_path: String,
}

#[derive(Debug)]
enum Segment {
    Literal(String),
    Variable(FieldDescriptor),
}

/// All paths of the protos.
#[derive(Debug)]
pub(super) struct Table {
    /// In the order of the protos.
    pub(super) routes: Vec<Route>,
    /// Calls that cannot be reached so, with what to do about it. A test holds that there are none.
    pub(super) faults: Vec<String>,
}

/// What a path leads to.
#[derive(Debug)]
pub(super) enum Found<'t> {
    /// A call, with the text of each variable.
    Call(&'t Route, Vec<(FieldDescriptor, String)>),
    /// A call, if a variable were spelled as text can be.
    Unreadable(Violation),
    /// Only calls of other verbs.
    OtherVerb,
    /// Nothing.
    Nothing,
}

/// The table of this build.
pub(super) fn table() -> &'static Table {
    static TABLE: LazyLock<Table> = LazyLock::new(|| Table::read(&POOL));
    &TABLE
}

impl Table {
    pub(super) fn read(pool: &DescriptorPool) -> Self {
        let mut table = Self { routes: Vec::new(), faults: Vec::new() };
        let Some(option) = pool.get_extension_by_name(HTTP_OPTION) else {
            table.faults.push(format!("the descriptors have no option {HTTP_OPTION}"));
            return table;
        };
        for method in pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
            table.add_call(&option, &method);
        }
        table.add_conflicts();
        table
    }

    fn add_call(&mut self, option: &ExtensionDescriptor, method: &MethodDescriptor) {
        let options = method.options();
        if !options.has_extension(option) {
            self.faults.push(format!(
                "{} has no path for JSON: write `option (google.api.http) = {{get: \
                 \"/v1/things/{{thing_id}}\"}};` into its braces in the proto, or `{{post: \
                 \"/v1/things\" body: \"*\"}}` when it changes something, and import \
                 google/api/annotations.proto",
                method.full_name()
            ));
            return;
        }
        let rule = options.get_extension(option);
        let Some(rule) = rule.as_message() else { return };
        self.add_rule(rule, method);
        let more = rule.get_field_by_name("additional_bindings");
        for rule in more.as_deref().and_then(Value::as_list).unwrap_or_default() {
            if let Some(rule) = rule.as_message() {
                self.add_rule(rule, method);
            }
        }
    }

    fn add_rule(&mut self, rule: &DynamicMessage, method: &MethodDescriptor) {
        match Route::read(rule, method) {
            Ok(route) => self.routes.push(route),
            Err(fault) => self.faults.push(format!("{}: {fault}", method.full_name())),
        }
    }

    /// Two paths that one request could mean. A literal beside a variable is one, too: an id that
    /// happens to be that word would be out of reach.
    fn add_conflicts(&mut self) {
        let mut faults = Vec::new();
        for (at, route) in self.routes.iter().enumerate() {
            for other in self.routes.iter().skip(at + 1) {
                if route.verb == other.verb && route.overlaps(other) {
                    let (a, b) = (&route.template, &other.template);
                    faults.push(format!("{a} and {b} can be the same path"));
                }
            }
        }
        self.faults.append(&mut faults);
    }

    /// Where a path as it was sent leads with a verb.
    pub(super) fn find(&self, verb: &Verb, path: &str) -> Found<'_> {
        let Some((segments, action)) = split(path) else { return Found::Nothing };
        let mut is_known = false;
        for route in self.routes.iter().filter(|route| route.fits(&segments, action)) {
            if route.verb == *verb {
                return route.bound(&segments);
            }
            is_known = true;
        }
        if is_known { Found::OtherVerb } else { Found::Nothing }
    }

    /// Verbs that a path takes, those that need no call of their own included.
    pub(super) fn verbs_of(&self, path: &str) -> BTreeSet<&str> {
        let Some((segments, action)) = split(path) else { return BTreeSet::new() };
        let fitting = self.routes.iter().filter(|route| route.fits(&segments, action));
        let mut verbs: BTreeSet<&str> = fitting.map(|route| route.verb.as_str()).collect();
        if verbs.contains("GET") {
            verbs.insert("HEAD");
        }
        if !verbs.is_empty() {
            verbs.insert("OPTIONS");
        }
        verbs
    }
}

impl Route {
    fn read(rule: &DynamicMessage, method: &MethodDescriptor) -> Result<Self, String> {
        let text = |name: &str| {
            let value = rule.get_field_by_name(name);
            value.as_deref().and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let verbs = [Verb::GET, Verb::POST, Verb::PUT, Verb::PATCH, Verb::DELETE];
        let patterns = verbs.into_iter().map(|verb| {
            let template = text(&verb.as_str().to_ascii_lowercase());
            (verb, template)
        });
        let pattern = patterns.into_iter().find(|(_, template)| !template.is_empty());
        let (verb, template) = pattern.ok_or("the rule has no path")?;
        let has_body = match text("body").as_str() {
            "" => false,
            "*" => true,
            _ => return Err("the body is \"*\" or none".to_owned()),
        };
        if has_body == (verb == Verb::GET || verb == Verb::DELETE) {
            return Err("GET and DELETE have no body, the others body: \"*\"".to_owned());
        }
        let (segments, action) = template_of(&template, method)?;
        let grpc_path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        let method = method.clone();
        Ok(Self { verb, template, segments, action, has_body, method, grpc_path })
    }

    /// The fields that stand in its path.
    pub(super) fn variables(&self) -> impl Iterator<Item = &FieldDescriptor> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Variable(field) => Some(field),
            Segment::Literal(_) => None,
        })
    }

    fn fits(&self, segments: &[&str], action: Option<&str>) -> bool {
        let fits_each = |(own, sent): (&Segment, &&str)| match own {
            Segment::Literal(text) => text == sent,
            Segment::Variable(_) => true,
        };
        self.action.as_deref() == action
            && self.segments.len() == segments.len()
            && self.segments.iter().zip(segments).all(fits_each)
    }

    fn overlaps(&self, other: &Self) -> bool {
        let can_agree = |(a, b): (&Segment, &Segment)| match (a, b) {
            (Segment::Literal(a), Segment::Literal(b)) => a == b,
            _ => true,
        };
        self.action == other.action
            && self.segments.len() == other.segments.len()
            && self.segments.iter().zip(&other.segments).all(can_agree)
    }

    fn bound(&self, segments: &[&str]) -> Found<'_> {
        let mut bindings = Vec::new();
        for (own, sent) in self.segments.iter().zip(segments) {
            let Segment::Variable(field) = own else { continue };
            match decoded(sent, false) {
                Some(text) => bindings.push((field.clone(), text)),
                None => {
                    return Found::Unreadable(Violation {
                        field: field.name().to_owned(),
                        rule: "percent-encoded UTF-8".to_owned(),
                        found: (*sent).to_owned(),
                    });
                }
            }
        }
        Found::Call(self, bindings)
    }
}

/// Segments and action of a path. `None` for one that no template has: not absolute, or with an
/// empty segment.
fn split(path: &str) -> Option<(Vec<&str>, Option<&str>)> {
    let mut segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    let last = segments.pop()?;
    let (last, action) = match last.rsplit_once(':') {
        Some((last, action)) => (last, Some(action)),
        None => (last, None),
    };
    segments.push(last);
    let is_whole = segments.iter().all(|segment| !segment.is_empty());
    is_whole.then_some((segments, action))
}

fn template_of(
    template: &str,
    method: &MethodDescriptor,
) -> Result<(Vec<Segment>, Option<String>), String> {
    let (segments, action) = split(template).ok_or("a path begins with / and has no empty part")?;
    if segments.first() != Some(&"v1") || segments.len() < 2 {
        return Err(format!("{template} does not begin with /v1/"));
    }
    let mut read = Vec::new();
    for segment in segments {
        let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let Some(name) = name else {
            if segment.contains(['{', '}', '*', '%']) {
                return Err(format!("{template}: a variable is one whole part, {{field_name}}"));
            }
            read.push(Segment::Literal(segment.to_owned()));
            continue;
        };
        let field = method.input().get_field_by_name(name);
        let field = field.ok_or_else(|| format!("{template}: the request has no field {name}"))?;
        if field.is_list() || field.kind().as_message().is_some() {
            return Err(format!("{template}: {name} is not one value"));
        }
        read.push(Segment::Variable(field));
    }
    Ok((read, action.map(str::to_owned)))
}
