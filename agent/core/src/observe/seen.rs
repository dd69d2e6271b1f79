//! What was sent last.
use nimbus_protocol::v1;
/// Objects of one kind.
#[derive(Debug)]
pub struct Seen {
    kind: &'static str,
}
/// What a listing of our own found gone.
#[derive(Debug, Clone, PartialEq)]
pub struct Vanished {
    /// To be sent.
    pub gone: Vec<v1::Gone>,
    /// Objects whose uid cannot be told any more: a bracketed listing is needed when this is not 0.
    pub unnamed: usize,
}
impl Seen {
    /// Nothing seen yet.
    pub fn new(kind: &'static str) -> Self {
        Self { kind }
    }
    /// Forget all: everything is sent again.
    pub fn clear(&mut self) {}
    /// A full listing starts.
    pub fn begin_relist(&mut self) {}
    /// Notes the object; true when it differs from what was sent last.
    pub fn changed(&mut self, _uid: &str, _body: &v1::observation::Body) -> bool {
        todo!("{}", self.kind)
    }
    /// The object is gone (a watch said so).
    pub fn forget(&mut self, _uid: &str) {}
    /// The listing is complete: what was not in it is gone.
    pub fn end_relist(&mut self) -> Vanished {
        todo!()
    }
}
