// The picture panel: every way in, what comes out, and the panel under the hood afterwards.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { ROOT, startServer } from "../server.mjs";
import { DESKTOP, PHONE, checkAccessibility, generate, launch, screenshot, untilStatus, withPage } from "./browser.mjs";

const HOT_DOG = `${ROOT}/images/hot_dog.jpg`;
let browser;
let server;

before(async () => {
  [browser, server] = await Promise.all([launch(), startServer("--model", "tales", "--model", "mobilenet-v2")]);
});

after(async () => {
  await browser.close();
  await server.stop();
});

const onPictures = (run, options = DESKTOP) =>
  withPage(browser, server.url, options, async (page) => {
    await page.getByRole("tab", { name: "Pictures" }).click();
    await run(page);
  });

const labels = (page) => page.getByRole("list", { name: "Labels" }).getByRole("listitem");

/** Hands the hot dog to the page as an event of this kind would. */
async function send(page, type) {
  const bytes = readFileSync(HOT_DOG).toString("base64");
  await page.evaluate(
    ([kind, content]) => {
      const data = new DataTransfer();
      const picture = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
      data.items.add(new File([picture], "lunch.jpg", { type: "image/jpeg" }));
      const options = { bubbles: true, cancelable: true };
      const event =
        kind === "paste"
          ? new ClipboardEvent(kind, { ...options, clipboardData: data })
          : new DragEvent(kind, { ...options, dataTransfer: data });
      document.getElementById(kind === "paste" ? "main" : "drop").dispatchEvent(event);
    },
    [type, bytes],
  );
}

test("the samples are recognised", () =>
  onPictures(async (page) => {
    for (const [sample, label] of [["Cat", "Egyptian cat"], ["Grace Hopper", "military uniform"], ["Hot dog", "hotdog"], ["Parrot", "macaw"]]) {
      await page.getByRole("button", { name: sample, exact: true }).click();
      await untilStatus(page, new RegExp(`^Done: ${label}`, "u"));
      assert.equal(await labels(page).count(), 5);
      assert.match(await labels(page).first().textContent(), new RegExp(`^${label}.*\\d %$`, "u"));
    }
    await checkAccessibility(page);
  }));

for (const [way, hand] of [
  ["dropped", (page) => send(page, "drop")],
  ["pasted", (page) => send(page, "paste")],
  ["chosen", (page) => page.getByLabel("Choose a picture").setInputFiles(HOT_DOG)],
]) {
  test(`a picture that is ${way} is recognised`, () =>
    onPictures(async (page) => {
      await hand(page);
      await untilStatus(page, /^Done: hotdog/u);
      assert.match(await page.locator("#preview-caption").textContent(), /512 × 384 pixels/u);
    }));
}

test("the picture is shown as the model saw it", () =>
  onPictures(async (page) => {
    await page.getByRole("button", { name: "Parrot" }).click();
    await page.getByRole("button", { name: "Show what the model saw" }).click();
    await page.getByRole("img", { name: "What the model saw" }).waitFor();
    const colours = await page.locator("#input-canvas").evaluate((canvas) => {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      return [canvas.width, canvas.height, new Set(data).size];
    });
    assert.deepEqual(colours.slice(0, 2), [224, 224]);
    assert.ok(colours[2] > 100, "a picture of many shades");
    await screenshot(page, "pictures");
  }));

test("what is no picture is refused in a sentence, and the next picture is taken", () =>
  onPictures(async (page) => {
    await page.getByLabel("Choose a picture").setInputFiles({ name: "a.gif", mimeType: "image/gif", buffer: Buffer.from("GIF89a") });
    await page.getByRole("alert").getByText("no JPEG, PNG or BMP").waitFor();
    const damaged = readFileSync(HOT_DOG).subarray(0, 5000);
    await page.getByLabel("Choose a picture").setInputFiles({ name: "b.jpg", mimeType: "image/jpeg", buffer: damaged });
    await page.getByRole("alert").getByText("The server refused this").waitFor();
    await screenshot(page, "picture-refused");
    await page.getByRole("button", { name: "Cat" }).click();
    await untilStatus(page, /^Done/u);
    assert.equal(await page.getByRole("alert").textContent(), "");
  }));

test("under the hood are the way of the latest request, the guests' memory and the certificates", () =>
  onPictures(async (page) => {
    await page.setViewportSize({ width: 1440, height: 900 });
    await page.getByRole("button", { name: "Cat" }).click();
    await untilStatus(page, /^Done/u);
    await page.getByRole("button", { name: "Under the hood" }).click();
    assert.match(await page.locator("#way-summary").textContent(), /mobilenet-v2/u);
    assert.match(await page.locator("#way").textContent(), /Sandbox.*ms.*OpenVINO.*ms/su);
    await page.locator("#memory").getByText("mobilenet-v2: ").waitFor();
    assert.match(await page.locator("#cards").textContent(), /tales.*Every gate was passed.*mobilenet-v2/su);
    await page.getByRole("tab", { name: "Text" }).click();
    await generate(page, { "Max tokens": 10 });
    assert.match(await page.locator("#way-summary").textContent(), /tales.*10 tokens/u);
    await page.locator("#memory").getByText("tales: ").waitFor();
    await screenshot(page, "hood");
    await checkAccessibility(page);
  }));

for (const colorScheme of ["light", "dark"]) {
  test(`on a phone, in ${colorScheme}, nothing is cut off and nothing is inaccessible`, () =>
    onPictures(
      async (page) => {
        const fits = () => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);
        await page.getByRole("button", { name: "Cat" }).tap();
        await untilStatus(page, /^Done/u);
        assert.ok(await fits());
        await checkAccessibility(page);
        await screenshot(page, `phone-${colorScheme}-pictures`);
        await page.getByRole("tab", { name: "Text" }).tap();
        await generate(page);
        await page.getByLabel("Colour by probability").check();
        assert.ok(await fits());
        await checkAccessibility(page);
        await screenshot(page, `phone-${colorScheme}-text`);
        await page.getByRole("button", { name: "Under the hood" }).tap();
        assert.ok(await fits());
        await checkAccessibility(page);
        await screenshot(page, `phone-${colorScheme}-hood`);
      },
      { ...PHONE, colorScheme },
    ));
}
