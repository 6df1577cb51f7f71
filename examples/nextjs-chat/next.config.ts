import type { NextConfig } from "next";

const config: NextConfig = {
  turbopack: { root: import.meta.dirname }, // this folder is all there is, whatever lies above it
};

export default config;
