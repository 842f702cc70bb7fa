import { DynamicPageWidget, FileProvider, OutlineProvider, RelativePosition, store } from "@diamondlightsource/cs-web-lib";
import React from "react";
import { createRoot } from "react-dom/client";
import { Provider } from "react-redux";
import { BrowserRouter } from "react-router-dom";

const asked = new URLSearchParams(location.search);
const first = { path: asked.get("file"), macros: {}, defaultProtocol: "ca" };
createRoot(document.body.appendChild(document.createElement("main"))).render(
  <Provider store={store({ PVWS_SOCKET: location.host, PVWS_SSL: false, THROTTLE_PERIOD: 100 })}>
    <BrowserRouter>
      <FileProvider initialPageState={{ main: first }}>
        <OutlineProvider>
          <DynamicPageWidget location="main" position={new RelativePosition()} scroll={true} showCloseButton={false} />
        </OutlineProvider>
      </FileProvider>
    </BrowserRouter>
  </Provider>
);
