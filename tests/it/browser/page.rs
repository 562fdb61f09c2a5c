//! The OpenAPI UI: what a person does there.

use fantoccini::elements::Element;
use fantoccini::key::Key;
use fantoccini::wait::Wait;
use fantoccini::{Client, Locator};
use serde_json::Value;

use super::chromium::Chromium;

/// The page, loaded.
pub(super) struct Page {
    chromium: Chromium,
}

impl Page {
    pub(super) async fn open(chromium: Chromium, url: String) -> Self {
        chromium.client.goto(&url).await.expect("the page");
        let page = Self { chromium };
        page.is_loaded().await;
        page
    }

    pub(super) fn chromium(&self) -> &Chromium {
        &self.chromium
    }

    pub(super) async fn close(self) {
        self.chromium.close().await;
    }

    pub(super) async fn reload(&self) {
        self.client().refresh().await.expect("the page again");
        self.is_loaded().await;
    }

    pub(super) async fn is_authorized(&self) -> bool {
        let button = self.seen(".auth-wrapper .authorize").await;
        let class = button.attr("class").await.expect("a page").unwrap_or_default();
        class.split(' ').any(|class| class == "locked")
    }

    /// Enters a key behind `Authorize`.
    pub(super) async fn authorize(&self, key: &str) {
        click(&self.seen(".auth-wrapper .authorize").await).await;
        self.seen(".modal-ux input").await.send_keys(key).await.expect("an input");
        click(&self.seen(".modal-ux button[type=submit]").await).await;
        click(&self.seen(".modal-ux .btn-done").await).await;
        self.seen(".auth-wrapper .authorize.locked").await;
    }

    /// An operation of a group.
    pub(super) fn operation(&self, group: &str, id: &str) -> Operation<'_> {
        Operation { page: self, block: format!("[id='operations-{}-{id}']", group.replace(' ', "_")) }
    }

    fn client(&self) -> &Client {
        &self.chromium.client
    }

    async fn is_loaded(&self) {
        self.seen(".opblock").await;
    }

    async fn seen(&self, css: &str) -> Element {
        let found = Wait::new(self.client()).for_element(Locator::Css(css)).await;
        found.unwrap_or_else(|error| panic!("{css}: {error}"))
    }
}

/// An operation in the page.
pub(super) struct Operation<'a> {
    page: &'a Page,
    block: String,
}

impl Operation<'_> {
    /// Opens it, with its form.
    pub(super) async fn unfold(self) -> Self {
        click(&self.part(".opblock-summary-control").await).await;
        self.part(".execute").await;
        self
    }

    /// Types into the field of a parameter.
    pub(super) async fn fill(self, parameter: &str, text: &str) -> Self {
        let field = self.part(&format!("tr[data-param-name='{parameter}'] input")).await;
        replace(&field, text).await;
        self
    }

    /// Takes one of the choices of a parameter.
    pub(super) async fn choose(self, parameter: &str, choice: &str) -> Self {
        let field = self.part(&format!("tr[data-param-name='{parameter}'] select")).await;
        field.select_by_value(choice).await.expect("a choice");
        self
    }

    /// Types the request body.
    pub(super) async fn body(self, body: &Value) -> Self {
        replace(&self.part("textarea.body-param__text").await, &body.to_string()).await;
        self
    }

    /// Sends it, and reads the response in the page.
    pub(super) async fn execute(&self) -> (u16, Value) {
        click(&self.part(".execute").await).await;
        let status = self.part(".live-responses-table .response .response-col_status").await;
        let status = status.text().await.expect("a status");
        let body = self.part(".live-responses-table .response .response-col_description .highlight-code code").await;
        let body = body.text().await.expect("a body");
        let status = status.lines().next().and_then(|status| status.parse().ok());
        let body = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
        (status.expect("a number"), body)
    }

    async fn part(&self, css: &str) -> Element {
        self.page.seen(&format!("{} {css}", self.block)).await
    }
}

async fn click(element: &Element) {
    element.click().await.expect("a button");
}

async fn replace(field: &Element, text: &str) {
    field.send_keys(&format!("{}a{}{text}", char::from(Key::Control), char::from(Key::Null))).await.expect("a field");
}
