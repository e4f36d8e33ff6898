// SPDX-License-Identifier: Apache-2.0

/**
 * Cases as pages of YAML.
 *
 * <p>{@link org.iommu4j.workbench.page.PageReader} reads a text into a {@link org.iommu4j.workbench.page.Page} and
 * refuses a wrong one by line and column. {@link org.iommu4j.workbench.page.Verb} has every step that a page may say.
 * {@link org.iommu4j.workbench.page.PageCase} runs a page on a machine, and {@link
 * org.iommu4j.workbench.page.Pages} finds the built-in ones. The form is described in {@code docs/cases.md} and, for
 * editors, in {@code docs/case.schema.json}.
 */
package org.iommu4j.workbench.page;
