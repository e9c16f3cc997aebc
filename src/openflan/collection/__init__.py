"""The public files of the Flan 2022 collection: what is fetched from where (`plan`), what the servers list
(`listing`), and how files come to disk whole (`fetch`)."""
