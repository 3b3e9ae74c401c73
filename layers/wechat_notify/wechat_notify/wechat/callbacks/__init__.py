"""The form of WeChat's callbacks: signature, encryption, XML and JSON.

Its libraries (cryptography, defusedxml) are in the layer of the function callback alone.
"""
